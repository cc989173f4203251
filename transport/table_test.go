package transport_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

func parse(t *testing.T, text string) *transport.Table {
	t.Helper()
	table, err := transport.ParseMap("transport", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestParseMapReadsWhatPostmapReads(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       map[string]string
	}{
		{"nothing", "", map[string]string{}},
		{"comments and empty lines", "# a\n\n   \n  # b\n\t#c\n", map[string]string{}},
		{"no final line end", "a.test x:", map[string]string{"a.test": "x:"}},
		{"line ends of DOS", "a.test x:\r\nb.test y:\r\n", map[string]string{"a.test": "x:", "b.test": "y:"}},
		{"tabs", "a.test\t\tx:[h]\t\n", map[string]string{"a.test": "x:[h]"}},
		{"a value with blanks", "a.test error:5.7.1 go  away \n", map[string]string{"a.test": "error:5.7.1 go  away"}},
		{"a value with colons and #", "a.test smtp:[fe80::1]:26 # x\n", map[string]string{"a.test": "smtp:[fe80::1]:26 # x"}},
		{"a continued line", "a.test\n  smtp:a,\n\t[b]\n", map[string]string{"a.test": "smtp:a,\t[b]"}},
		{"a line continued past comments", "a.test\n\n# no\n smtp:a\nb.test y:\n", map[string]string{"a.test": "smtp:a", "b.test": "y:"}},
		{"case", "UsEr@A.Test X:[Hop]\n", map[string]string{"user@a.test": "X:[Hop]"}},
		{"a quoted local-part", "\"a b\"@a.test x:\n\"a\\\" b\"@a.test y:\n", map[string]string{`"a b"@a.test`: "x:", `"a\" b"@a.test`: "y:"}},
		{"a needless quote", "\"ab\"@a.test x:\n", map[string]string{"ab@a.test": "x:"}},
		{"U-labels", "bücher.test x:\n.bücher.test y:\n", map[string]string{"xn--bcher-kva.test": "x:", ".xn--bcher-kva.test": "y:"}},
		{"a literal", "[192.0.2.1] x:\nu@[IPv6:2001:DB8::1] y:\n", map[string]string{"[192.0.2.1]": "x:", "u@[ipv6:2001:db8::1]": "y:"}},
		{"everything", "* x:\n.ru y:\n", map[string]string{"*": "x:", ".ru": "y:"}},
		{"a final dot", "a.test. x:\n", map[string]string{"a.test": "x:"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := maps.Collect(parse(t, test.text).All())
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseMapTellsAllProblemsAtOnceWithTheirLines(t *testing.T) {
	const text = `  a.test x:
good.test smtp:
novalue.test

# comment
bad.test	error:4.7.1 no
later.test retry:5.7.1 no
gone.test discard:4.0.0 no
@at.test x:
alias: x:
a..test x:
u@ x:
nocolon.test smtp [hop]
"open@a.test x:
b.test sm/tp:
*.c.test x:
d.test error:
  5.1.1 fine
e.test ` + "x:\x01" + `
f.test error:5.7.1
a@b@c.test x:
`
	_, err := transport.ParseMap("/etc/map", strings.NewReader(text))
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		`/etc/map:1: begins with a blank, but there is no line for it to go on with`,
		`/etc/map:3: "novalue.test": the value is missing; write pattern, blank, transport:nexthop`,
		`/etc/map:6: "bad.test": error: takes a status of class 5, not 4.7.1`,
		`/etc/map:7: "later.test": retry: takes a status of class 4, not 5.7.1`,
		`/etc/map:8: "gone.test": discard: takes a status of class 2, not 4.0.0`,
		`/etc/map:9: "@at.test": never matches; for the domain write at.test`,
		`/etc/map:10: "alias:": ends in a colon: this is the form of an alias file`,
		`/etc/map:11: "a..test": malformed domain`,
		`/etc/map:12: "u@": no domain`,
		`/etc/map:13: "nocolon.test": "smtp [hop]" is no name of a transport; is a colon missing?`,
		`/etc/map:14: a quote is not closed`,
		`/etc/map:15: "b.test": "sm/tp" is no name of a transport`,
		`/etc/map:16: "*.c.test": malformed domain`,
		`/etc/map:19: "e.test": control character or malformed UTF-8`,
		`/etc/map:21: "a@b@c.test": more than one @`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Error(diff)
	}
	var first *transport.MapError
	if !errors.As(err, &first) || first.Line != 1 || first.Name != "/etc/map" {
		t.Errorf("first problem is %#v", first)
	}
}

func TestParseMapKeepsToItsLimits(t *testing.T) {
	long := strings.Repeat("x", 8<<10)
	var manyBad strings.Builder
	for range 150 {
		manyBad.WriteString("bad..test x:\n")
	}
	for _, test := range []struct {
		name string
		r    io.Reader
		want string
	}{
		{"a long line", strings.NewReader("# 1\na.test error:" + long + "\nb..test x:\n"),
			"m:2: longer than 8192 octets\nm:3: \"b..test\": malformed domain"},
		{"a long line at the end", strings.NewReader("a.test error:" + long), "m:1: longer than 8192 octets"},
		{"a line continued for too long", strings.NewReader("a.test\n error:" + long[:5000] + "\n " + long[:5000] + "\nb.test x:\n"),
			"m:1: longer than 8192 octets"},
		{"an endless line", io.LimitReader(endless('x'), 1<<30), "m:1: the text is longer than 67108864 octets"},
		{"an endless comment", io.MultiReader(strings.NewReader("#"), endless('x')), "m:1: the text is longer than 67108864 octets"},
		{"a reader that fails", io.MultiReader(strings.NewReader("a.test x:\n"), iotest.ErrReader(errors.New("disk on fire"))), "m:2: disk on fire"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := transport.ParseMap("m", test.r)
			if diff := cmp.Diff(test.want, fmt.Sprint(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err := transport.ParseMap("m", strings.NewReader(manyBad.String()))
	if lines := strings.Split(fmt.Sprint(err), "\n"); len(lines) != 101 || lines[100] != "and 50 problems more" {
		t.Errorf("%d problems are told, the last as %q", len(lines), lines[len(lines)-1])
	}
}

func TestParseMapTakesAMillionRowsAndNoMore(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	var text strings.Builder
	for i := range 1<<20 + 1 {
		fmt.Fprintf(&text, "%d.t x\n", i)
	}
	_, err := transport.ParseMap("m", strings.NewReader(text.String()))
	if diff := cmp.Diff(`m:1048577: "1048576.t": more than 1048576 rows`, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}

// endless is a reader of one octet without end.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestLookupTriesTheMostSpecificPatternFirst(t *testing.T) {
	all := []string{"user+ext@a.b.test", "user@a.b.test", "a.b.test", ".b.test", ".test", "*"}
	for i := range all {
		var text strings.Builder
		for n, pattern := range all[i:] {
			fmt.Fprintf(&text, "%s t%d:\n", pattern, i+n)
		}
		got, rule, ok := parse(t, text.String()).Rule("User+Ext@A.B.test.")
		if want := (transport.Route{Transport: fmt.Sprint("t", i)}); got != want || !ok {
			t.Errorf("with %q: %v, %v; want %v", all[i:], got, ok, want)
		}
		if want := "transport:1: " + all[i]; rule != want {
			t.Errorf("rule %q, want %q", rule, want)
		}
	}
}

func TestLookupOfOddAddresses(t *testing.T) {
	const text = `
user@a.test        user:
+x@a.test          plus:
ru                 domain:
.ru                parent:
postmaster@a.test  postmaster:
"a b"@a.test       quoted:
[192.0.2.1]        literal:
xn--bcher-kva.test idn:
localpart          bare:
`
	for _, test := range []struct{ address, want string }{
		{"user+a+b@a.test", "user"},
		{"+x@a.test", "plus"},
		{"+y@a.test", ""},
		{"postmaster+x@a.test", "postmaster"},
		{`"a b"@a.test`, "quoted"},
		{`"a b+c"@a.test`, "quoted"},
		{`"user"@a.test`, "user"},
		{"u@ru", "domain"},
		{"u@b.ru", "parent"},
		{"u@a.b.ru", "parent"},
		{"u@[192.0.2.1]", "literal"},
		{"u@[IPv6:2001:db8::1]", ""},
		{"u@bücher.test", "idn"},
		{"u@XN--BCHER-KVA.test", "idn"},
		{"localpart", ""}, // is no domain
		{"", ""},
		{"@", ""},
		{"@ru", "domain"},
		{"u@", ""},
		{"u@..", ""},
		{"u@b..ru", "parent"},
	} {
		got, ok := parse(t, text).Lookup(test.address)
		if got.Transport != test.want || ok != (test.want != "") {
			t.Errorf("%q: %v, %v; want %q", test.address, got, ok, test.want)
		}
		if wild, ok := parse(t, text+"* wild:\n").Lookup(test.address); !ok || test.want == "" && wild.Transport != "wild" {
			t.Errorf("%q: %v, %v; want what * says", test.address, wild, ok)
		}
	}
}

func TestOfTwoEqualPatternsTheFirstCountsAndTheOtherIsAWarning(t *testing.T) {
	table := parse(t, "a.test x:\n# \nA.test y:\nb.test z:\n")
	if r, _ := table.Lookup("u@a.test"); r.Transport != "x" {
		t.Errorf("got %v, want x:", r)
	}
	want := []string{"transport:3: A.test stands on line 1 already, which counts"}
	if diff := cmp.Diff(want, table.Warnings()); diff != "" {
		t.Error(diff)
	}
}

func TestTableOfApisCPsManualRoutesAsItPromises(t *testing.T) {
	text, err := os.ReadFile("testdata/apiscp_transport.txt")
	if err != nil {
		t.Fatal(err)
	}
	table := parse(t, string(text))
	if err := table.Check(transport.Builtin()); err != nil {
		t.Error(err)
	}
	for address, want := range map[string]transport.Route{
		"u@yahoo.test":      {Transport: "relaylim"},
		"u@mail.example.ru": {Transport: "oneshot"},
		"u@bad.test":        {Transport: "error", Nexthop: "Bad domain!"},
		"u@x.bad.test":      {Transport: "error", Nexthop: "Bad domain!"},
		"u@other.test":      {},
	} {
		if got, ok := table.Lookup(address); got != want || ok != (want != transport.Route{}) {
			t.Errorf("%s: %v, %v; want %v", address, got, ok, want)
		}
	}
}

func TestTableMadeOfItsOwnRowsIsTheSame(t *testing.T) {
	text, err := os.ReadFile("testdata/transport.map")
	if err != nil {
		t.Fatal(err)
	}
	was := parse(t, string(text))
	is, err := transport.NewTable("rows", was.All())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(maps.Collect(was.All()), maps.Collect(is.All())); diff != "" || is.Len() != 24 {
		t.Errorf("%d rows:\n%s", is.Len(), diff)
	}
	if _, rule, _ := is.Rule("u@x.ru"); rule != "rows: .ru" {
		t.Errorf("rule %q, want one without a line", rule)
	}
}

func TestNewTableRefusesWhatValidateEntryRefuses(t *testing.T) {
	rows := map[string]string{"a.test": "error:4.0.0 x", "": "x:", "b.test": "x:", "c.test": ""}
	_, err := transport.NewTable("rows", maps.All(rows))
	for pattern, value := range rows {
		wrong := transport.ValidateEntry(pattern, value)
		if got := err != nil && wrong != nil && strings.Contains(err.Error(), wrong.Error()); got != (wrong != nil) {
			t.Errorf("%q %q: ValidateEntry says %v, NewTable %v", pattern, value, wrong, err)
		}
	}
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two problems expected: %v", err)
	}
}

func TestTableCanBeEdited(t *testing.T) {
	table := parse(t, "a.test x:\n")
	if err := table.Set("A.TEST", "y:[hop]"); err != nil {
		t.Fatal(err)
	}
	if err := table.Set("b.test", "retry:5.1.1 no"); err == nil {
		t.Error("a status of the wrong class was taken")
	}
	if r, rule, _ := table.Rule("u@a.test"); r != (transport.Route{Transport: "y", Nexthop: "[hop]"}) || rule != "transport: a.test" {
		t.Errorf("got %v because of %q", r, rule)
	}
	if !table.Delete("a.Test") || table.Delete("a.test") || table.Delete("@") || table.Len() != 0 {
		t.Errorf("deleting went wrong: %d rows left", table.Len())
	}
}

func TestCheckNamesEveryRowWithAnUnknownTransport(t *testing.T) {
	err := parse(t, "a.test x:\nb.test :hop\nc.test smtp:\nd.test y:\n").Check(transport.Builtin())
	want := "transport:1: \"a.test\": unknown transport \"x\"\ntransport:4: \"d.test\": unknown transport \"y\""
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}

func TestTableIsReadWhileItIsEdited(t *testing.T) {
	table := parse(t, "a.test x:\n* y:\n")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				if i%2 == 0 {
					_ = table.Set("a.test", "x:")
					table.Delete("a.test")
					continue
				}
				if _, ok := table.Lookup("u@a.test"); !ok {
					t.Error("* did not match")
				}
				for range table.All() {
					break
				}
			}
		})
	}
	wg.Wait()
}

func TestMatchSubdomainsTurnsTheMeaningOfKeysRound(t *testing.T) {
	table, err := parse(t, "# \na.test x:\n.b.test y:\nu@a.test z:\nsub.a.test :\n* w:\n").MatchSubdomains()
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"v@a.test":            "transport:2: a.test",
		"v@x.a.test":          "transport:2: .a.test",
		"v@x.y.a.test":        "transport:2: .a.test",
		"u@a.test":            "transport:4: u@a.test",
		"u@x.a.test":          "transport:2: .a.test",
		"v@sub.a.test":        "transport:5: sub.a.test",
		"v@x.sub.a.test":      "transport:5: .sub.a.test",
		"v@b.test":            "transport:6: *",
		"v@x.b.test":          "transport:6: *",
		"v@elsewhere.example": "transport:6: *",
	} {
		if _, rule, _ := table.Rule(address); rule != want {
			t.Errorf("%s: %q, want %q", address, rule, want)
		}
	}
	want := []string{"transport:3: .b.test stands for nothing where domains stand for their subdomains"}
	if diff := cmp.Diff(want, table.Warnings()); diff != "" {
		t.Error(diff)
	}
}
