package address_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "github.com/panelmail/panelmail/internal/address"
)

func TestParsePathFindsTheEndOfThePath(t *testing.T) {
	type result struct{ Path, Rest string }
	for _, tt := range []struct {
		in   string
		want result
	}{
		{"<>", result{"", ""}},
		{"<> SIZE=1", result{"", "SIZE=1"}},
		{"<u@x>", result{"u@x", ""}},
		{" <u@x> ", result{"u@x", ""}},
		{"<u@x>  SIZE=1 BODY=7BIT ", result{"u@x", "SIZE=1 BODY=7BIT"}},
		{"u@x", result{"u@x", ""}},
		{"u@x SIZE=1", result{"u@x", "SIZE=1"}},
		{`"a b"@x SIZE=1`, result{`"a b"@x`, "SIZE=1"}},
		{`<"a> b"@x> SIZE=1`, result{`"a> b"@x`, "SIZE=1"}},
		{`<"a\"> b"@x>`, result{`"a\"> b"@x`, ""}},
		{"<@a,@b:u@c>", result{"@a,@b:u@c", ""}},
		{"< u@x >", result{" u@x ", ""}},
	} {
		path, rest, err := ParsePath(tt.in)
		if err != nil {
			t.Errorf("ParsePath(%q): %v", tt.in, err)
		}
		if diff := cmp.Diff(tt.want, result{path, rest}); diff != "" {
			t.Errorf("ParsePath(%q) (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestParsePathRefusesWhatHasNoClearEnd(t *testing.T) {
	for _, in := range []string{
		"", "  ", "<", "<u@x", "u@x>", "<u@x>>", "<u@x>SIZE=1", "<<u@x>>", `<"u@x>`, `"u`,
		"<a<b@x>", "a<b@x>", `<"a"`, `<a\>b@x>`,
	} {
		if path, rest, err := ParsePath(in); !errors.Is(err, ErrPath) {
			t.Errorf("ParsePath(%q) = %q, %q, %v; want %v", in, path, rest, err, ErrPath)
		}
	}
}

// TestEachRelayFormReadsAsOneThing goes through the ways to write a recipient
// that have opened relays. What is not an error names one domain only, and
// Routed warns of a local-part that might name another.
func TestEachRelayFormReadsAsOneThing(t *testing.T) {
	type reading struct {
		Prints string // canonical form
		Domain string
		Routed bool
		Rest   string
		Err    error
	}
	bad := func(err error) reading { return reading{Err: err} }
	want := []reading{
		{"u@local.test", "local.test", false, "", nil},
		{"u@remote.test", "remote.test", false, "", nil},
		{"u@remote.test", "remote.test", false, "", nil},
		{"u%remote.test@local.test", "local.test", true, "", nil},
		bad(ErrNoDomain),
		bad(ErrMultipleAt),
		bad(ErrMultipleAt),
		bad(ErrSourceRoute),
		bad(ErrSourceRoute),
		{`"u@remote.test"@local.test`, "local.test", true, "", nil},
		bad(ErrNoDomain),
		{"u%remote.test@local.test", "local.test", true, "", nil},
		bad(ErrNoDomain),
		{"remote.test!u@local.test", "local.test", true, "", nil},
		bad(ErrNoDomain),
		bad(ErrNoDomain),
		bad(ErrNoDomain),
		bad(ErrMultipleAt),
		{"u%remote.test@[127.0.0.1]", "[127.0.0.1]", true, "", nil},
		{"u@[127.0.0.1]", "[127.0.0.1]", false, "", nil},
		{`"u@remote.test"@[127.0.0.1]`, "[127.0.0.1]", true, "", nil},
		{"remote.test!u@[127.0.0.1]", "[127.0.0.1]", true, "", nil},
		bad(ErrNoDomain),
		bad(ErrNoDomain),
		{"postmaster", "", false, "", nil},
		bad(ErrNoLocal),
		{"u@local.test", "local.test", false, "", nil},
		{"u@LOCAL.TEST", "LOCAL.TEST", false, "", nil},
		{`"u> NOTIFY=NEVER"@local.test`, "local.test", false, "", nil},
		bad(ErrLocal),
		{"u@local.test", "local.test", false, "foo", nil},
		{"|/bin/sh@local.test", "local.test", false, "", nil},
		bad(ErrLocal),
		{"-oQ/tmp@local.test", "local.test", false, "", nil},
	}
	text, err := os.ReadFile("testdata/relay_forms.txt")
	if err != nil {
		t.Fatal(err)
	}
	forms := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(forms) != len(want) {
		t.Fatalf("%d forms, %d readings", len(forms), len(want))
	}
	for i, form := range forms {
		path, rest, err := ParsePath(form)
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		a, err := Parse(path)
		got := reading{Err: err}
		if err == nil {
			got = reading{a.String(), a.Domain, a.Routed(), rest, nil}
		}
		if diff := cmp.Diff(want[i], got, cmp.Comparer(errorsEqual)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", form, diff)
		}
	}
}

func errorsEqual(a, b error) bool { return errors.Is(a, b) && errors.Is(b, a) }

func TestDashedTellsAnOptionFromAName(t *testing.T) {
	if !(Address{"-oQ/tmp", "x"}).Dashed() || (Address{"a-b", "x"}).Dashed() {
		t.Error("wrong")
	}
}
