package sites_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/panelmail/panelmail/mailcore/sites"
)

func TestTheTemplateOfASiteComesBeforeTheDefault(t *testing.T) {
	ctx := t.Context()
	f := newFile(t)
	s, err := sites.New(ctx, f)
	must(t, err)
	must(t, s.AddSite(ctx, sites.Site{Name: "shop"}), s.AddSite(ctx, sites.Site{Name: "blog"}))
	if _, ok, err := s.TemplateFor(ctx, "shop"); ok || err != nil {
		t.Errorf("a template out of nothing: %v, %v", ok, err)
	}
	began := time.Now().Add(-time.Second)
	must(t,
		s.SetTemplate(ctx, sites.Template{Name: "old.tmpl", Syntax: sites.GoTemplate, Text: "old"}),
		s.SetTemplate(ctx, sites.Template{Name: "email.blade.php", Syntax: sites.BladeTemplate, Text: "default é"}),
		s.SetTemplate(ctx, sites.Template{Site: "shop", Name: "shop.tmpl", Syntax: sites.GoTemplate, Text: "of the shop"}))

	s, err = sites.New(ctx, f)
	must(t, err)
	names := func(list ...sites.Template) (names []string) {
		for _, one := range list {
			if one.Changed.Before(began) || one.Changed.After(time.Now()) {
				t.Errorf("%s changed at %v", one.Name, one.Changed)
			}
			names = append(names, one.Name)
		}
		return names
	}
	shop, ok1, err1 := s.TemplateFor(ctx, "shop")
	blog, ok2, err2 := s.TemplateFor(ctx, "blog")
	nobody, ok3, err3 := s.TemplateFor(ctx, "")
	must(t, err1, err2, err3)
	if diff := cmp.Diff([]string{"shop.tmpl", "email.blade.php", "email.blade.php"}, names(shop, blog, nobody)); diff != "" || !ok1 || !ok2 || !ok3 {
		t.Errorf("in force (-want +got):\n%s", diff)
	}
	list, err := s.ListTemplates(ctx)
	must(t, err)
	want := []sites.Template{
		{Name: "email.blade.php", Syntax: sites.BladeTemplate, Size: 10},
		{Site: "shop", Name: "shop.tmpl", Syntax: sites.GoTemplate, Size: 11},
	}
	if diff := cmp.Diff(want, list, cmpopts.IgnoreFields(sites.Template{}, "Changed")); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	one, err := s.Template(ctx, "shop")
	must(t, err)
	if diff := cmp.Diff("of the shop", one.Text); diff != "" {
		t.Error(diff)
	}
	must(t, s.RemoveTemplate(ctx, "shop"))
	if again, ok, err := s.TemplateFor(ctx, "shop"); !ok || err != nil || again.Text != "default é" {
		t.Errorf("after removing its own: %+v, %v, %v", again, ok, err)
	}
}

func TestWhatIsNoTemplateIsRefusedWithTheReason(t *testing.T) {
	ctx := t.Context()
	s := newSites(t)
	good := sites.Template{Name: "x.tmpl", Syntax: sites.GoTemplate, Text: "x"}
	with := func(change func(*sites.Template)) error {
		bad := good
		change(&bad)
		return s.SetTemplate(ctx, bad)
	}
	_, unknown := s.Template(ctx, "shop")
	_, none := s.Template(ctx, "")
	for _, row := range []struct {
		what string
		err  error
		is   error
		text string
	}{
		{"no site", with(func(t *sites.Template) { t.Site = "shop" }), sites.ErrNotFound, `site "shop" not found`},
		{"no syntax", with(func(t *sites.Template) { t.Syntax = "" }), sites.ErrInvalid, `template "default" is invalid: syntax "": want go or blade`},
		{"no name", with(func(t *sites.Template) { t.Name = "" }), sites.ErrInvalid, "name"},
		{"name with a line end", with(func(t *sites.Template) { t.Name = "a\nb" }), sites.ErrInvalid, "name"},
		{"empty", with(func(t *sites.Template) { t.Text = "" }), sites.ErrInvalid, "empty"},
		{"too long", with(func(t *sites.Template) { t.Text = strings.Repeat("x", 256<<10+1) }), sites.ErrInvalid, "262145 octets"},
		{"not UTF-8", with(func(t *sites.Template) { t.Text = "\xff" }), sites.ErrInvalid, "UTF-8"},
		{"shown, none", none, sites.ErrNotFound, `template "default"`},
		{"shown, none of a site", unknown, sites.ErrNotFound, `template of site "shop"`},
		{"removed, none", s.RemoveTemplate(ctx, ""), sites.ErrNotFound, `template "default"`},
	} {
		if !errors.Is(row.err, row.is) || !strings.Contains(row.err.Error(), row.text) {
			t.Errorf("%s: %v, want %v with %q", row.what, row.err, row.is, row.text)
		}
	}
	must(t, with(func(t *sites.Template) { t.Text = strings.Repeat("x", 256<<10) }))
}
