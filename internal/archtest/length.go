package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"strings"
)

// Limits of [CheckLength], in lines.
const (
	MaxFile     = 400
	MaxFunction = 60
)

// CheckLength reports files and functions that are too long to be one idea.
// A function counts from its func keyword to its closing brace. Test files are
// free. The allowed are files as "queue/engine.go" and functions as
// "queue.Open" or "queue.(Queue).Run"; one that is allowed without need is
// reported too, so that the list only shrinks.
func CheckLength(m *Module, allowed []string) []string {
	long := map[string]string{}
	for _, p := range m.Packages {
		for _, f := range p.Files {
			file, _, _ := strings.Cut(m.position(f.FileStart), ":")
			if n := m.Fset.File(f.FileStart).LineCount(); n > MaxFile {
				long[file] = fmt.Sprintf("%s has %d lines, more than %d", file, n, MaxFile)
			}
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok {
					continue
				}
				n := m.Fset.Position(fn.End()).Line - m.Fset.Position(fn.Pos()).Line + 1
				if name := path.Join(".", p.Rel) + "." + functionName(fn); n > MaxFunction {
					long[name] = fmt.Sprintf("%s: %s has %d lines, more than %d", m.position(fn.Pos()), name, n, MaxFunction)
				}
			}
		}
	}
	var bad []string
	for _, name := range allowed {
		if long[name] == "" {
			bad = append(bad, fmt.Sprintf("%s is allowed to be long and is not", name))
		}
		delete(long, name)
	}
	for _, text := range long {
		bad = append(bad, text)
	}
	return bad
}

// functionName is the name of a function as written after its package.
func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return "(" + x.Name + ")." + fn.Name.Name
		default:
			return fn.Name.Name
		}
	}
}
