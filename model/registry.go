package model

import "sort"

// Registry holds named things that register themselves. Its members come out sorted by name, so
// that neither file order nor map order can change what a seed generates.
type Registry[T any] struct {
	kind  string
	items map[string]T
}

// NewRegistry returns an empty registry; kind names its members in messages.
func NewRegistry[T any](kind string) *Registry[T] {
	return &Registry[T]{kind: kind, items: map[string]T{}}
}

// Add registers item under name and returns it. It panics on an empty or repeated name, which is a
// mistake in the program.
func (r *Registry[T]) Add(name string, item T) T {
	if _, dup := r.items[name]; dup || name == "" {
		panic(r.kind + ": empty or repeated name " + name)
	}
	r.items[name] = item
	return item
}

// Get returns the member called name.
func (r *Registry[T]) Get(name string) (T, bool) {
	item, ok := r.items[name]
	return item, ok
}

// Names returns all names, sorted.
func (r *Registry[T]) Names() []string {
	out := make([]string, 0, len(r.items))
	for n := range r.items {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// All returns all members, sorted by name.
func (r *Registry[T]) All() []T {
	out := make([]T, 0, len(r.items))
	for _, n := range r.Names() {
		out = append(out, r.items[n])
	}
	return out
}
