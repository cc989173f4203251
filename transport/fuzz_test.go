package transport_test

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

// Whatever the text, there is a table or an error; a table is made of its own
// rows again, and answers alike.
func FuzzParseMap(f *testing.F) {
	for _, name := range []string{"testdata/transport.map", "testdata/apiscp_transport.txt"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, text := range []string{
		"", " x", "a", "a b\n c", "# \n\n", "\"a b\"@c d:", "\"a", "a\\", "* :", ". x:", ".. x:", "a@ x", "@a x", "a: b",
		"a.test error:4.7.1 x", "a\r\n\rb c", "\x00 \xff", "ü.test x", "[IPv6:::1] x:", "a.test.. x:",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		table, err := transport.ParseMap("map", strings.NewReader(text))
		if (table == nil) == (err == nil) {
			t.Fatalf("table %v, error %v", table, err)
		}
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Fatal("an error says nothing")
			}
			return
		}
		again, err := transport.NewTable("map", table.All())
		if err != nil {
			t.Fatalf("a row read from text is refused: %v", err)
		}
		if diff := cmp.Diff(maps.Collect(table.All()), maps.Collect(again.All())); diff != "" {
			t.Fatal(diff)
		}
		for pattern := range table.All() {
			address := pattern
			if pattern == "*" || !strings.Contains(pattern, "@") {
				address = "x@" + strings.TrimPrefix(pattern, "*")
			}
			if strings.HasPrefix(pattern, ".") {
				address = "x@sub" + pattern
			}
			was, ok := table.Lookup(address)
			is, okAgain := again.Lookup(address)
			if !ok || !okAgain || was != is {
				t.Fatalf("%q under %q: %v, %v and %v, %v", address, pattern, was, ok, is, okAgain)
			}
		}
	})
}

// Whatever the address, a look-up ends, "*" is found if nothing else is, and case
// does not count.
func FuzzLookup(f *testing.F) {
	for _, address := range []string{
		"", "@", "u", "u@", "u+x@a.test", "+x@a.test", `"a b"@a.test`, `"a@b"@a.test`, `"`, "a@b@c.test", "u@.", "u@..",
		"u@a..test", "u@[127.0.0.1]", "u@[IPv6:::1]", "u@ru", "u@x.ru.", "ü@bücher.test", "\xff@\xfe", "u@a.test\r\n",
		strings.Repeat("a.", 500) + "b@" + strings.Repeat("c.", 500),
	} {
		f.Add(address)
	}
	table, err := transport.ParseMap("map", strings.NewReader("u@a.test x:\na.test y:\n.ru z:\n\"a b\"@a.test q:\n"))
	if err != nil {
		f.Fatal(err)
	}
	wild, err := transport.ParseMap("map", strings.NewReader("u@a.test x:\na.test y:\n.ru z:\n\"a b\"@a.test q:\n* all:\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, address string) {
		got, ok := table.Lookup(address)
		if (got != transport.Route{}) != ok {
			t.Fatalf("%v, %v", got, ok)
		}
		if w, found := wild.Lookup(address); !found || ok && w != got || !ok && w.Transport != "all" {
			t.Fatalf("%v with *, %v without", w, got)
		}
		if upper, _ := table.Lookup(asciiUpper(address)); upper != got {
			t.Fatalf("%v in upper case, %v as it is", upper, got)
		}
		q := transport.Query{Recipient: address}
		p := transport.Planner{Routes: table, Transports: transport.Definitions{}}
		if label := p.Label(t.Context(), q); !strings.HasPrefix(label, "/") {
			t.Fatalf("label %q", label)
		}
	})
}

// asciiUpper changes letters only: octets that are no UTF-8 stay what they are.
func asciiUpper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}
