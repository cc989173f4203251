package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Module is a Go module with the packages of its main module parsed and
// type-checked.
type Module struct {
	Path     string // module path
	Dir      string // absolute directory of its go.mod
	Fset     *token.FileSet
	Packages []*Package // by import path
}

// A Package is one package of the module, without its test files.
type Package struct {
	Rel         string   // import path below the module's; "" is the root package
	Imports     []string // full import paths
	TestImports []string // of its test files, in the package and beside it
	Files       []*ast.File
	Types       *types.Package
	Info        *types.Info
}

// listed is what the go command tells about a package.
type listed struct {
	ImportPath   string
	Dir          string
	Export       string
	GoFiles      []string
	CgoFiles     []string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Module       *struct{ Path, Dir string }
	Error        *struct{ Err string }
	DepOnly      bool
}

// Load reads the module in dir and type-checks all of its packages that build
// on this platform. Dependencies are compiled, which takes long the first time
// and is served from the build cache later. A package that does not build is
// an error.
func Load(dir string) (*Module, error) {
	list, err := goList(dir)
	if err != nil {
		return nil, err
	}
	m := &Module{Fset: token.NewFileSet()}
	exports := map[string]string{}
	for _, p := range list {
		exports[p.ImportPath] = p.Export
	}
	imp := importer.ForCompiler(m.Fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no compiled form of %s", path)
		}
		return os.Open(exports[path])
	})
	for _, p := range list {
		if p.DepOnly {
			continue
		}
		m.Path, m.Dir = p.Module.Path, p.Module.Dir
		pkg, err := m.check(p, imp)
		if err != nil {
			return nil, err
		}
		m.Packages = append(m.Packages, pkg)
	}
	return m, nil
}

// goList asks the go command for the packages of the module in dir and
// everything they depend on.
func goList(dir string) ([]listed, error) {
	cmd := exec.Command("go", "list", "-e", "-export", "-deps", "-json", "./...")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.String())
	}
	var list []listed
	var problems []error
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading go list: %w", err)
		}
		if p.Error != nil && !p.DepOnly {
			problems = append(problems, fmt.Errorf("%s: %s", p.ImportPath, p.Error.Err))
		}
		list = append(list, p)
	}
	return list, errors.Join(problems...)
}

// check parses and type-checks one package.
func (m *Module) check(p listed, imp types.Importer) (*Package, error) {
	pkg := &Package{
		Rel:         strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, m.Path), "/"),
		Imports:     p.Imports,
		TestImports: append(p.TestImports, p.XTestImports...),
		Info:        &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}},
	}
	for _, name := range append(p.GoFiles, p.CgoFiles...) {
		f, err := parser.ParseFile(m.Fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		pkg.Files = append(pkg.Files, f)
	}
	conf := types.Config{Importer: imp, FakeImportC: true}
	cgo := len(p.CgoFiles) > 0
	if cgo {
		conf.Error = func(error) {} // what C declares has no type here; the rest is checked all the same
	}
	var err error
	if pkg.Types, err = conf.Check(p.ImportPath, m.Fset, pkg.Files, pkg.Info); cgo {
		err = nil
	}
	return pkg, err
}

// rel turns the import path of a package of this module into its relative
// form; ok is false for any other package.
func (m *Module) rel(path string) (rel string, ok bool) {
	if path == m.Path {
		return "", true
	}
	return strings.CutPrefix(path, m.Path+"/")
}

// position names a place in the module, as file:line with the file relative to
// the module's directory.
func (m *Module) position(pos token.Pos) string {
	p := m.Fset.Position(pos)
	if rel, err := filepath.Rel(m.Dir, p.Filename); err == nil {
		p.Filename = filepath.ToSlash(rel)
	}
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}
