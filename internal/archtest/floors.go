package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// The floors that hold more or less than the packages of one name.
const (
	cellar   = -1
	root     = 6 // the root package documents the module; nothing is below it for it to use
	examples = 5
)

const driver = "github.com/mattn/go-sqlite3"

var (
	// shared may be used by every package of the cellar.
	shared = []string{"internal/address", "internal/rfc5322"}

	// workshop packages drive the product from outside: no program is built
	// from them but their own.
	workshop = []string{"internal/archtest", "internal/bench", "internal/crash", "internal/crashvfs", "internal/interop"}

	// sqlRooms are the packages in which SQL may be executed.
	sqlRooms = []string{"queue", "mailcore/sites", "internal/sqlitedb"}

	// driverRooms are the packages that may import the SQLite driver.
	driverRooms = []string{"internal/sqlitedb"}
)

// floor says on which floor a package stands; ok is false for a package that
// has no place in the module.
func floor(rel string) (n int, ok bool) {
	first, rest, _ := strings.Cut(rel, "/")
	switch first {
	case "":
		return root, true
	case "internal":
		return cellar, true
	case "srs", "dkim", "dnstmpl":
		return 0, true
	case "transport":
		return 1, true
	case "queue":
		return 2, true
	case "mailcore":
		switch {
		case rest == "":
			return 3, true
		case within(rel, []string{"mailcore/sites"}):
			return 2, true
		}
		return 4, true
	case "examples":
		return examples, true
	}
	return 0, false
}

// CheckFloors reports every import that does not go down.
func CheckFloors(m *Module) []string {
	var bad []string
	for _, p := range m.Packages {
		if _, ok := floor(p.Rel); !ok {
			bad = append(bad, fmt.Sprintf("%s: stands on no floor", p.Rel))
			continue
		}
		for _, imported := range p.Imports {
			to, ours := m.rel(imported)
			if why := forbidden(p.Rel, to); ours && why != "" {
				bad = append(bad, fmt.Sprintf("%s imports %s: %s", path.Join(".", p.Rel), to, why))
			}
		}
		for _, imported := range p.TestImports {
			to, ours := m.rel(imported)
			if ours && within(p.Rel, []string{"examples"}) && within(to, []string{"internal"}) {
				bad = append(bad, fmt.Sprintf("a test of %s imports %s: examples use public packages only", p.Rel, to))
			}
		}
	}
	return bad
}

// forbidden says why one package may not import another; "" means that it may.
func forbidden(from, to string) string {
	a, _ := floor(from)
	b, _ := floor(to)
	switch {
	case within(from, workshop):
		return ""
	case within(to, workshop):
		return "nothing is built from the workshop"
	case a == root:
		return "the root package only documents"
	case a == examples && b == cellar:
		return "examples use public packages only"
	case kin(from, to) && a == b:
		return ""
	case a == cellar && b == cellar && within(to, shared):
		return ""
	case a == cellar:
		return "the cellar imports nothing of ours"
	case a == b:
		return "same floor"
	case a < b:
		return "imports only go down"
	}
	return ""
}

// CheckSQL reports SQL executed outside its rooms, and imports of the SQLite
// driver outside the one package that wraps it.
func CheckSQL(m *Module) []string {
	var bad []string
	for _, p := range m.Packages {
		imports := append(slices.Clone(p.Imports), p.TestImports...)
		if slices.Contains(imports, driver) && !within(p.Rel, driverRooms) {
			bad = append(bad, fmt.Sprintf("%s imports %s: that is for internal/sqlitedb", p.Rel, driver))
		}
		if within(p.Rel, sqlRooms) || within(p.Rel, workshop) {
			continue
		}
		for _, f := range p.Files {
			ast.Inspect(f, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if ok && runsSQL(p, sel) {
					bad = append(bad, fmt.Sprintf("%s: %s outside queue and mailcore/sites", m.position(sel.Pos()), sel.Sel.Name))
				}
				return true
			})
		}
	}
	return bad
}

// runsSQL reports whether a selector is a method of database/sql that takes a
// statement.
func runsSQL(p *Package, sel *ast.SelectorExpr) bool {
	s := p.Info.Selections[sel]
	if s == nil || s.Obj().Pkg() == nil || s.Obj().Pkg().Path() != "database/sql" {
		return false
	}
	for _, verb := range []string{"Exec", "Query", "Prepare"} {
		if strings.HasPrefix(sel.Sel.Name, verb) {
			return true
		}
	}
	return false
}

// kin reports whether one of two packages is the other's sub-package.
func kin(a, b string) bool {
	return within(a, []string{b}) || within(b, []string{a})
}

// within reports whether rel is one of the packages or below one.
func within(rel string, packages []string) bool {
	return slices.ContainsFunc(packages, func(p string) bool {
		return rel == p || strings.HasPrefix(rel, p+"/")
	})
}
