package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "chaos"

// rule says which packages of this module some packages may import. In both, "x/**" is x and what is
// below it.
type rule struct {
	pkg     string
	imports []string
}

// rules is the architecture; the first one that fits a package counts. What is drawn, performed and
// judged meets in cmd only.
var rules = []rule{
	{"model", nil},
	{"model/plantext", []string{"model"}},
	{"model/gen", []string{"model"}},
	{"stack", []string{"model"}},
	{"stack/**", []string{"model", "stack/**"}},
	{"actions/engine", []string{"model", "stack", "actions"}},
	{"actions/faults", []string{"model", "stack", "actions"}},
	{"actions/**", []string{"model", "stack"}},
	{"invariants", []string{"model"}},
	{"corpus/shrink", []string{"model", "model/plantext"}},
	{"corpus", []string{"model", "model/plantext", "corpus/shrink"}},
	{"cmd/chaos", []string{"cmd/internal/cli", "stack/embedded/child"}},
	{"cmd/internal/**", []string{"**"}},
}

// ruleFor returns the rule for pkg, a path within the module.
func ruleFor(pkg string) (rule, bool) {
	i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.pkg, pkg) })
	if i < 0 {
		return rule{}, false
	}
	return rules[i], true
}

// allows reports whether pkg may be imported.
func (r rule) allows(pkg string) bool {
	return slices.ContainsFunc(r.imports, func(pattern string) bool { return matches(pattern, pkg) })
}

// matches reports whether pkg, a path within the module, fits pattern.
func matches(pattern, pkg string) bool {
	above, tree := strings.CutSuffix(pattern, "**")
	if !tree {
		return pkg == pattern
	}
	return above == "" || pkg == strings.TrimSuffix(above, "/") || strings.HasPrefix(pkg, above)
}

// sourcePackage is what go list says of a package.
type sourcePackage struct {
	Dir, ImportPath                   string
	GoFiles, CgoFiles, IgnoredGoFiles []string
}

// within is the path of the package within the module.
func (p *sourcePackage) within() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// files returns the files of the package that are no tests, those for other systems and with other
// build tags included.
func (p *sourcePackage) files() []string {
	var out []string
	for _, f := range slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles) {
		if !strings.HasSuffix(f, "_test.go") {
			out = append(out, filepath.Join(p.Dir, f))
		}
	}
	return out
}

// root returns the root folder of the module.
func root(t *testing.T) string {
	t.Helper()
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	require.NoError(t, err)
	return filepath.Dir(strings.TrimSpace(string(mod)))
}

func packages(t *testing.T) []sourcePackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps=false", "-json", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	require.NoError(t, err)
	var list []sourcePackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p sourcePackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		list = append(list, p)
	}
	require.Greater(t, len(list), 10, "the module has more packages than that")
	return list
}

func parse(t *testing.T, file string) (*ast.File, *token.FileSet) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	return f, set
}

// importsOf returns the names under which a file imports packages, by import path.
func importsOf(t *testing.T, f *ast.File) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, i := range f.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		require.NoError(t, err)
		out[p] = path.Base(p)
		if i.Name != nil {
			out[p] = i.Name.Name
		}
	}
	return out
}

func TestArchitecture_Rules(t *testing.T) {
	for _, c := range []struct {
		from, to string
		ok       bool
	}{
		{"model", "stack", false},
		{"model/gen", "model", true},
		{"model/gen", "model/plantext", false},
		{"stack", "stack/journal", false},
		{"stack/live", "stack", true},
		{"stack/embedded/api", "stack/embedded/bugs", true},
		{"stack/embedded", "actions", false},
		{"actions", "actions/engine", false},
		{"actions/engine", "actions", true},
		{"actions/engine", "stack/embedded", false},
		{"invariants", "actions", false},
		{"corpus", "invariants", false},
		{"cmd/chaos", "cmd/internal/campaign", false},
		{"cmd/internal/report", "stack/embedded", true},
	} {
		r, ok := ruleFor(c.from)
		require.True(t, ok, c.from)
		require.Equal(t, c.ok, r.allows(c.to), "%s imports %s", c.from, c.to)
	}
	_, ok := ruleFor("modelling")
	require.False(t, ok)
	_, ok = ruleFor("cmd/other")
	require.False(t, ok)
}

func TestArchitecture_ImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		r, ok := ruleFor(p.within())
		if !ok {
			t.Errorf("package %s has no place in the architecture", p.ImportPath)
			continue
		}
		for _, file := range p.files() {
			f, _ := parse(t, file)
			for imported := range importsOf(t, f) {
				ours, ok := strings.CutPrefix(imported, module+"/")
				if ok && !r.allows(ours) {
					t.Errorf("%s imports %s; of this module, %s may import: %s", file, imported, p.within(), strings.Join(r.imports, " "))
				}
			}
		}
	}
}

// TestArchitecture_OnlyTheCommandLineTalks finds packages outside cmd that print, or read arguments or
// flags. The start of child processes is the one exception.
func TestArchitecture_OnlyTheCommandLineTalks(t *testing.T) {
	for _, p := range packages(t) {
		if strings.HasPrefix(p.within(), "cmd/") {
			continue
		}
		for _, file := range p.files() {
			f, set := parse(t, file)
			names := importsOf(t, f)
			for _, banned := range []string{"flag", "log", "github.com/spf13/pflag", "github.com/spf13/cobra"} {
				if _, ok := names[banned]; ok {
					t.Errorf("%s imports %s; only cmd may", file, banned)
				}
			}
			for at, what := range selectors(f, set) {
				prints := names["fmt"] != "" && strings.HasPrefix(what, names["fmt"]+".Print")
				reads := names["os"] != "" && what == names["os"]+".Args" && p.within() != "stack/embedded/child"
				if prints || reads {
					t.Errorf("%s: %s; only cmd may", at, what)
				}
			}
		}
	}
}

// selectors returns what is written as x.Y in a file, by place.
func selectors(f *ast.File, set *token.FileSet) map[string]string {
	out := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				out[set.Position(n.Pos()).String()] = x.Name + "." + sel.Sel.Name
			}
		}
		return true
	})
	return out
}

func TestArchitecture_TheHouseHasSixRooms(t *testing.T) {
	entries, err := os.ReadDir(root(t))
	require.NoError(t, err)
	agreed := []string{"cmd", "model", "actions", "invariants", "stack", "corpus", "go.mod", "go.sum", "Makefile", "README.md"}
	// What the program and make leave where they are run; none of it is kept.
	made := []string{"bin", "chaos-out", "chaos-corpus"}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(agreed, e.Name()) && !slices.Contains(made, e.Name()) {
			t.Errorf("%s has no place at the top of the repository", e.Name())
		}
	}
	for _, dir := range agreed[:6] {
		require.DirExists(t, filepath.Join(root(t), dir))
	}
}

const longestFile = 400 // lines

func TestArchitecture_FilesAreShortAndTestsDoNotSleep(t *testing.T) {
	err := filepath.WalkDir(root(t), func(file string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".go" {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if n := bytes.Count(text, []byte("\n")); n > longestFile {
			t.Errorf("%s has %d lines, more than %d", file, n, longestFile)
		}
		if strings.HasSuffix(file, "_test.go") {
			noSleep(t, file)
		}
		return nil
	})
	require.NoError(t, err)
}

// noSleep finds calls of time.Sleep. Tests wait for what they want with a deadline instead.
func noSleep(t *testing.T, file string) {
	t.Helper()
	f, set := parse(t, file)
	name, ok := importsOf(t, f)["time"]
	if !ok {
		return
	}
	for at, what := range selectors(f, set) {
		if what == name+".Sleep" {
			t.Errorf("%s: a test sleeps; wait for what it wants, with a deadline", at)
		}
	}
}
