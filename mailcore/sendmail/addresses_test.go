package sendmail

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/internal/address"
)

func TestAddressListsAsPeopleWriteThem(t *testing.T) {
	for _, row := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{" , ,, ", nil},
		{"a@x.example", []string{"a@x.example"}},
		{"a@x.example,b@x.example , c@x.example,", []string{"a@x.example", "b@x.example", "c@x.example"}},
		{"root", []string{"root"}},
		{"A Name <a@x.example>", []string{"a@x.example"}},
		{`"Name, A." <a@x.example>`, []string{"a@x.example"}},
		{`"a \" <b@x.example>, " <a@x.example>`, []string{"a@x.example"}},
		{"J. R. O'Neil <a@x.example>", []string{"a@x.example"}},
		{"a@x.example <b@x.example>", []string{"b@x.example"}},
		{"Müller Jürgen <a@x.example>", []string{"a@x.example"}},
		{"=?utf-8?q?M=C3=BCller,_J=C3=BCrgen?= <a@x.example>", []string{"a@x.example"}},
		{"=?utf-8?q?a,b@x.example?= <a@x.example>", []string{"a@x.example"}},
		{"(comment, with \\) and (more)) a@x.example (tail)", []string{"a@x.example"}},
		{"a @ x . example", []string{"a@x.example"}},
		{"a(c)@x.example", []string{"a@x.example"}},
		{"undisclosed-recipients:;", nil},
		{"Friends: a@x.example, B <b@x.example>;, c@x.example", []string{"a@x.example", "b@x.example", "c@x.example"}},
		{"a@x.example; b@x.example", []string{"a@x.example", "b@x.example"}},
		{`"x y"@x.example`, []string{`"x y"@x.example`}},
		{`<"x> y"@x.example>`, []string{`"x> y"@x.example`}},
		{`"a@x.example"`, []string{`"a@x.example"`}},
		{"a@[192.0.2.1]", []string{"a@[192.0.2.1]"}},
		{"< a@x.example >", []string{"a@x.example"}},
		{"ü@bücher.example", []string{"ü@bücher.example"}},
	} {
		got, err := parseList(row.text)
		if err != nil {
			t.Errorf("%q: %v", row.text, err)
			continue
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", row.text, diff)
		}
	}
}

func TestWhatIsNoAddressListIsRefused(t *testing.T) {
	for _, text := range []string{
		"John Doe", "John Doe a@x.example", "a@x.example b@x.example", "<a@x.example", "a@x.example>",
		"<a@x.example> b@x.example", "<a@x.example><b@x.example>", `"a`, "(a", "a)", "<>", "a: b: c;;",
		"a@x.example: b@y.example;", "Friends: a@x.example", "a\\b@x.example", "[192.0.2.1", `<"a@x.example>`, "<a<b>>",
	} {
		if got, err := parseList(text); err == nil {
			t.Errorf("%q is read as %q", text, got)
		}
	}
}

func TestAnAddressIsCompletedOrRefused(t *testing.T) {
	for _, row := range []struct{ spec, want string }{
		{"root", "root@host.example"},
		{"a@x.example", "a@x.example"},
		{"postmaster", "postmaster@host.example"},
		{`"a@b"`, `"a@b"@host.example`},
		{`"x> y"@x.example`, `"x> y"@x.example`},
		{"a@x.example.", "a@x.example"},
		{"-oQ/tmp@x.example", ""},
		{"-t", ""},
		{`"-t"@x.example`, ""},
		{"@a.example,@b.example:c@x.example", ""},
		{"a@b@c.example", ""},
		{"a@x.example\nRCPT TO:<b@x.example>", ""},
		{"a@x.example\r", ""},
		{"a\x00@x.example", ""},
		{"a@", ""},
		{"@x.example", ""},
		{"a b@x.example", ""},
		{"a..b@x.example", ""},
	} {
		got, err := complete(row.spec, "host.example")
		if got != row.want || (err == nil) != (row.want != "") {
			t.Errorf("%q becomes %q, %v; want %q", row.spec, got, err, row.want)
		}
	}
}

func FuzzAddressListYieldsOnlyAddresses(f *testing.F) {
	for _, seed := range []string{
		"a@b.example", `"x" <a@b.example>`, "g: a@b, c@d;", "(c) a (d", "=?a?b?c?= <x@y>", "<\"a\\\"b\"@c>", "a@[1.2.3.4]", "a . b @ c", "@:;<>,",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		specs, err := parseList(text)
		if err != nil {
			return
		}
		for _, spec := range specs {
			got, err := complete(spec, "host.example")
			if err != nil {
				continue
			}
			a, err := address.Parse(got)
			if err != nil || a.String() != got || hasControls(got) {
				t.Errorf("%q yields %q: %v", text, got, err)
			}
		}
	})
}
