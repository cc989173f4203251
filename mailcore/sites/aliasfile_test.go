package sites_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/mailcore/sites"
)

func TestAnAliasFileIsReadAsPostfixReadsIt(t *testing.T) {
	const text = `# the usual names
postmaster:    root
Root: admin@shop.example,
# a comment between a line and its continuation
	bob@shop.example

  ann@shop.example
 # and one with blanks before it
"two words": "quoted name"@out.example, plain
spaced :x@out.example y@out.example
info@shop.example: bob@shop.example
@list.example	@shop.example` + "\r\n" + `BIG@Shop.example bob@shop.example # no comment`
	got, err := sites.ParseAliases("aliases", strings.NewReader(strings.TrimSuffix(text, " # no comment")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]sites.AliasEntry{
		{Pattern: "postmaster", Targets: []string{"root"}},
		{Pattern: "root", Targets: []string{"admin@shop.example", "bob@shop.example", "ann@shop.example"}},
		{Pattern: `"two words"`, Targets: []string{`"quoted name"@out.example`, "plain"}},
		{Pattern: "spaced", Targets: []string{"x@out.example", "y@out.example"}},
		{Pattern: "info@shop.example", Targets: []string{"bob@shop.example"}},
		{Pattern: "@list.example", Targets: []string{"@shop.example"}},
		{Pattern: "big@shop.example", Targets: []string{"bob@shop.example"}},
	}, got); diff != "" {
		t.Errorf("aliases (-want +got):\n%s", diff)
	}
	if _, err := sites.ParseAliases("aliases", strings.NewReader(text)); err == nil {
		t.Error("a comment behind targets was taken")
	}
}

func TestEveryLineOfAnAliasFileThatCannotBeIsNamed(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"  root: x\n", "f:1: it continues nothing"},
		{"root x@y.example\n", `f:1: "root" is not followed by a colon`},
		{"root\n", "f:1: the name is not followed by a colon"},
		{": x\n", "f:1: the name is not followed by a colon"},
		{"root:\n", "f:1: sites: alias \"root\" is invalid: it has no target"},
		{"\"root: x\n", "f:1: a quote is not closed"},
		{"root: \"x\n", "f:1: a quote is not closed"},
		{"a: x\nlists: \"|/usr/bin/lists post\", x\n", "f:2: sites: alias \"lists\" is invalid: target \"\\\"|/usr/bin/lists post\\\"\": a command is never run by an alias"},
		{"a: x,\n  |cat\n", "f:1: sites: alias \"a\" is invalid: target \"|cat\": a command is never run by an alias"},
		{"dump: /dev/null\n", "f:1: sites: alias \"dump\" is invalid: target \"/dev/null\": a file is never written to by an alias"},
		{"all: :include:/etc/all\n", "f:1: sites: alias \"all\" is invalid: target \":include:/etc/all\": :include: is not followed: write the addresses into the alias"},
		{"info@shop.example root\n", "f:1: sites: alias \"info@shop.example\" is invalid: target \"root\": it has no domain"},
		{"root: x\n\nROOT: y\n", "f:3: alias \"root\" stands in line 1 already"},
		{"r\xffot: x\n", "f:1: not UTF-8"},
		{"root: x\x00y\n", "f:1: sites: alias \"root\" is invalid: target \"x\\x00y\""},
	} {
		got, err := sites.ParseAliases("f", strings.NewReader(tt.text))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || got != nil {
			t.Errorf("%q: %v, %v; want %s", tt.text, got, err, tt.want)
		}
	}
	_, err := sites.ParseAliases("f", strings.NewReader(strings.Repeat("x\n", 101)))
	if text := fmt.Sprint(err); strings.Count(text, "f:") != 101 || !strings.HasSuffix(text, "f: and 1 lines more") {
		t.Errorf("101 bad lines: %d are named, last %q", strings.Count(text, "f:"), text[max(0, len(text)-40):])
	}
	broken := errors.New("the disk broke")
	if _, err := sites.ParseAliases("f", iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("an error of the reader: %v", err)
	}
}

func TestAnAliasFileHasLimits(t *testing.T) {
	rows := func(n int) io.Reader {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "n%d:x\n", i)
		}
		return strings.NewReader(b.String())
	}
	target := strings.Repeat("x", 250) + "@y.example"
	line := func(n int) io.Reader { // of n octets in two physical lines
		text := "root: " + strings.Repeat(target+",", (n-6)/261)
		return strings.NewReader(text[:len(text)/2] + "\n " + text[len(text)/2:] + strings.Repeat(",", n-len(text)-1) + "\n")
	}
	file := func(n int) io.Reader {
		return io.MultiReader(strings.NewReader("root:x\n"), strings.NewReader(strings.Repeat("#"+strings.Repeat("x", 62)+"\n", (n-7)/64)), strings.NewReader(strings.Repeat(" ", (n-7)%64)))
	}
	for _, tt := range []struct {
		what string
		r    io.Reader
		rows int
		want string
	}{
		{"100,000 aliases", rows(100_000), 100_000, ""},
		{"one more", rows(100_001), 0, "f:100001: more than 100000 aliases"},
		{"a megabyte in a line", line(1 << 20), 1, ""},
		{"one octet more", line(1<<20 + 1), 0, "f:1: longer than 1048576 octets with its continuations"},
		{"a physical line beyond it", strings.NewReader("a:x\nb:" + strings.Repeat(",", 3<<20) + "\nc:x\n"), 0, "f:2: longer than"},
		{"32 megabytes", file(32 << 20), 1, ""},
		{"one octet more", file(32<<20 + 1), 0, "f: longer than 33554432 octets"},
	} {
		got, err := sites.ParseAliases("f", tt.r)
		if len(got) != tt.rows || tt.want == "" && err != nil || tt.want != "" && !strings.HasPrefix(fmt.Sprint(err), tt.want) {
			t.Errorf("%s: %d aliases, %.200v; want %d, %s", tt.what, len(got), err, tt.rows, tt.want)
		}
	}
}
