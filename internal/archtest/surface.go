package archtest

import (
	"fmt"
	"go/types"
)

// CheckSurface reports exported identifiers of public packages whose
// declaration mentions a type of internal/: in a signature, an exported or
// embedded field, a method, a constraint or an alias. Unexported types of the
// same package that an exported declaration gives out are followed too.
func CheckSurface(m *Module) []string {
	var bad []string
	for _, p := range m.Packages {
		if n, ok := floor(p.Rel); !ok || n == cellar || p.Types.Name() == "main" {
			continue
		}
		scope := p.Types.Scope()
		for _, name := range scope.Names() {
			obj := scope.Lookup(name)
			if !obj.Exported() {
				continue
			}
			s := surface{module: m, home: p.Types, seen: map[types.Type]bool{}}
			s.object(obj)
			for _, found := range s.found {
				bad = append(bad, fmt.Sprintf("%s.%s shows %s", p.Rel, name, found))
			}
		}
	}
	return bad
}

// A surface walks what a declaration shows.
type surface struct {
	module *Module
	home   *types.Package
	seen   map[types.Type]bool
	found  []string // types of internal/, by relative path
}

// object walks one exported declaration.
func (s *surface) object(obj types.Object) {
	name, ok := obj.(*types.TypeName)
	if !ok {
		s.walk(obj.Type())
		return
	}
	if alias, ok := obj.Type().(*types.Alias); ok && name.IsAlias() {
		s.walk(alias.Rhs())
		return
	}
	s.walk(obj.Type())
}

// walk visits a type and everything its declaration shows.
func (s *surface) walk(t types.Type) {
	if t == nil || s.seen[t] {
		return
	}
	s.seen[t] = true
	switch t := t.(type) {
	case *types.Alias:
		s.named(t.Obj(), t.TypeArgs(), func() { s.walk(t.Rhs()) })
	case *types.Named:
		s.named(t.Obj(), t.TypeArgs(), func() { s.declaration(t) })
	case *types.Signature:
		s.params(t.TypeParams())
		s.walk(t.Params())
		s.walk(t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			s.walk(v.Type())
		}
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() || f.Embedded() {
				s.walk(f.Type())
			}
		}
	case *types.Interface:
		for f := range t.ExplicitMethods() {
			if f.Exported() {
				s.walk(f.Type())
			}
		}
		for e := range t.EmbeddedTypes() {
			s.walk(e)
		}
	case *types.Union:
		for term := range t.Terms() {
			s.walk(term.Type())
		}
	case *types.Map:
		s.walk(t.Key())
		s.walk(t.Elem())
	case interface{ Elem() types.Type }: // pointer, slice, array, channel
		s.walk(t.Elem())
	}
}

// named judges a type by the package that declares it. What another public
// package declares is that package's own matter.
func (s *surface) named(obj *types.TypeName, args *types.TypeList, inside func()) {
	for a := range args.Types() {
		s.walk(a)
	}
	if obj.Pkg() == nil {
		return
	}
	rel, ours := s.module.rel(obj.Pkg().Path())
	switch {
	case ours && within(rel, []string{"internal"}):
		s.found = append(s.found, rel+"."+obj.Name())
	case obj.Pkg() == s.home:
		inside()
	}
}

// declaration walks a type declared in the package at hand: its parameters,
// what it is made of, and its methods.
func (s *surface) declaration(t *types.Named) {
	s.params(t.TypeParams())
	s.walk(t.Underlying())
	for m := range t.Methods() {
		if m.Exported() {
			s.walk(m.Type())
		}
	}
}

// params walks the constraints of type parameters.
func (s *surface) params(list *types.TypeParamList) {
	for p := range list.TypeParams() {
		s.walk(p.Constraint())
	}
}
