package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"chaos/stack"
)

// Swept is a box that an interrupted run had left.
type Swept struct {
	ID, Name string
	Err      error // why it is still there, nil = it is gone, or would be
}

// Sweep is what became of the ledgers of a stack.
type Sweep struct {
	Boxes     []Swept
	Others    int     // boxes of somebody else, which were left alone
	Running   int     // ledgers of runs that still go on
	Elsewhere int     // ledgers of other stacks
	Broken    []error // ledgers that cannot be read
}

// CreateTime is how long after it was sent a create may still make a box: servers wait 30 s for one.
const CreateTime = 35 * time.Second

// SweepStack removes the boxes that the ledgers in dir account for and that are still on the stack of
// cfg. Nothing else is touched, nor is what a run that still goes on has made. Creates of which nothing was
// heard are waited for until wait after they were sent. With dry it only looks.
func SweepStack(ctx context.Context, cfg Config, dir string, wait time.Duration, dry bool) (Sweep, error) {
	var out Sweep
	if err := cfg.Check(); err != nil {
		return out, err
	}
	prefix, err := whoAmI(ctx, cfg.URL, cfg.Key, fromKey)
	if err != nil {
		return out, err
	}
	c := stack.New(stack.Endpoint{URL: cfg.URL, Key: cfg.Key, Prefix: prefix})
	defer c.Close()
	books, err := out.open(dir, c.Endpoint())
	if err != nil {
		return out, err
	}
	for _, b := range books {
		defer b.file.Close()
	}
	if len(books) == 0 {
		return out, nil
	}
	if err := out.remove(ctx, c, books, wait, dry); err != nil || dry {
		return out, err
	}
	if slices.ContainsFunc(out.Boxes, func(s Swept) bool { return s.Err != nil }) {
		return out, nil
	}
	for _, b := range books {
		err = errors.Join(err, os.Remove(b.file.Name()))
	}
	return out, err
}

// Unswept returns how many boxes the ledgers in dir say may have been left on the stack of ep by runs that
// are over.
func Unswept(dir string, ep stack.Endpoint) (boxes int, err error) {
	var s Sweep
	books, err := s.open(dir, ep)
	for _, b := range books {
		boxes += len(b.sum.Boxes) + len(b.sum.Open)
		b.file.Close()
	}
	return boxes, err
}

// book is a ledger whose run is over.
type book struct {
	file *os.File
	sum  account
}

// open reads and locks the ledgers of the stack at ep.
func (s *Sweep) open(dir string, ep stack.Endpoint) ([]book, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+ledgerExt))
	if err != nil {
		return nil, err
	}
	var books []book
	for _, path := range paths {
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // its run has just ended well
		}
		if err != nil {
			s.Broken = append(s.Broken, err)
			continue
		}
		b := book{file: f}
		held := lock(f)
		b.sum, err = readAccount(f)
		switch {
		case locked(held):
			s.Running++
		case held != nil || err != nil:
			s.Broken = append(s.Broken, fmt.Errorf("%s: %w; look at it, and remove it by hand", path, errors.Join(held, err)))
		case b.sum.URL == "": // killed before it had written anything
			books = append(books, b)
			continue
		case b.sum.URL != ep.URL || b.sum.Prefix != ep.Prefix:
			s.Elsewhere++
		default:
			books = append(books, b)
			continue
		}
		f.Close()
	}
	return books, nil
}

// removeTime is how long the removal of a box may take.
const removeTime = 40 * time.Second

// remove deletes what is there of the books, until nothing more can come or nothing more helps.
func (s *Sweep) remove(ctx context.Context, c *stack.Client, books []book, wait time.Duration, dry bool) error {
	now := time.Now()
	until := now // when the last create of which nothing was heard has made its box, or never will
	for _, b := range books {
		for _, at := range b.sum.Open {
			if t := at.Add(wait); t.After(until) {
				until = t
			}
		}
	}
	for {
		left, err := s.pass(ctx, c, books, dry)
		now = time.Now()
		if err != nil || dry || left == 0 && !now.Before(until) || now.After(until.Add(removeTime)) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(sweepPause):
		}
	}
}

// sweepPause is the time between two looks.
const sweepPause = 300 * time.Millisecond

// pass lists the boxes once and asks for the removal of those in the books. left is how many there were.
func (s *Sweep) pass(ctx context.Context, c *stack.Client, books []book, dry bool) (left int, err error) {
	boxes, err := listAll(ctx, c)
	if err != nil {
		return 0, err
	}
	there := map[string]bool{}
	s.Others = 0
	for _, b := range boxes {
		if !slices.ContainsFunc(books, func(k book) bool { return k.sum.owns(b.ID, b.Name) }) {
			s.Others++
			continue
		}
		there[b.ID] = true
		i := slices.IndexFunc(s.Boxes, func(x Swept) bool { return x.ID == b.ID })
		if i < 0 {
			i = len(s.Boxes)
			s.Boxes = append(s.Boxes, Swept{ID: b.ID, Name: b.Name})
		}
		if !dry {
			s.Boxes[i].Err = removeBox(ctx, c, b.ID)
		}
	}
	for i := range s.Boxes {
		if !there[s.Boxes[i].ID] {
			s.Boxes[i].Err = nil
		}
	}
	return len(there), nil
}

// removeBox asks for the removal of a box. That it was accepted is no news until the list shows it.
func removeBox(ctx context.Context, c *stack.Client, id string) error {
	res, err := c.Do(ctx, stack.Request{Method: http.MethodDelete, Path: stack.BoxPath(id) + "?force=true"})
	if err == nil && res.Status/100 != 2 {
		err = fmt.Errorf("DELETE %s was answered with %d", stack.BoxPath(id), res.Status)
	}
	if err == nil {
		err = errors.New("it is still in the list")
	}
	return err
}

// listAll returns all boxes that the key shows, from all pages.
func listAll(ctx context.Context, c *stack.Client) (all []wireBox, err error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Call)
	defer cancel()
	for path := "/boxes"; ; {
		res, err := c.Do(ctx, stack.Request{Method: http.MethodGet, Path: path})
		if err != nil {
			return nil, fmt.Errorf("list boxes: %w", err)
		}
		var l struct {
			Boxes *[]wireBox `json:"boxes"`
			Next  string     `json:"next_page_token"`
		}
		if res.Status != http.StatusOK || json.Unmarshal(res.Body, &l) != nil || l.Boxes == nil {
			return nil, fmt.Errorf("list boxes: GET /boxes was answered with %d and no list", res.Status)
		}
		all = append(all, *l.Boxes...)
		if l.Next == "" || len(*l.Boxes) == 0 {
			return all, nil
		}
		path = "/boxes?pageToken=" + url.QueryEscape(l.Next)
	}
}
