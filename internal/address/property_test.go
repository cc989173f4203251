package address_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "github.com/panelmail/panelmail/internal/address"
)

// addresses generates any value that an Address from Parse can have, hostile
// local-parts included.
func addresses() *rapid.Generator[Address] {
	local := rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9.!%+-]{1,20}`),
		rapid.StringMatching("[ -~]{1,40}"),
		rapid.StringMatching(`[<>"\\@ .,:;()ü\x{212a}]{1,20}`),
	)
	label := rapid.StringMatching(`[a-zA-Z]([a-zA-Z0-9_-]{0,10}[a-zA-Z0-9])?`)
	domain := rapid.OneOf(
		rapid.Map(rapid.SliceOfN(label, 1, 4), func(l []string) string { return strings.Join(l, ".") }),
		rapid.SampledFrom([]string{"[192.0.2.1]", "[IPv6:2001:db8::1]", "bücher.test", "日本.example"}),
	)
	return rapid.Custom(func(t *rapid.T) Address {
		return Address{Local: local.Draw(t, "local"), Domain: domain.Draw(t, "domain")}
	})
}

func TestWhatIsPrintedParsesBackToTheSameAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := addresses().Draw(t, "address")
		got, err := Parse(a.String())
		if err != nil || got != a {
			t.Fatalf("%#v prints %s, which is %#v, %v", a, a, got, err)
		}
	})
}

func TestWhatIsPrintedIsOnePathOnTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := addresses().Draw(t, "address")
		path, rest, err := ParsePath("<" + a.String() + "> NOTIFY=NEVER")
		if err != nil || path != a.String() || rest != "NOTIFY=NEVER" {
			t.Fatalf("<%s> reads as %q, %q, %v", a, path, rest, err)
		}
	})
}

func TestAKeyIsTheFoldedAddressAndItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := addresses().Draw(t, "address")
		final := rapid.SampledFrom([]string{"", "."}).Draw(t, "final dot")
		if strings.HasSuffix(a.Domain, "]") {
			final = ""
		}
		folded, text, err := Key(a.String() + final)
		if want := a.Fold(); err != nil || folded != want || text != want.String() {
			t.Fatalf("the key of %v%s is %#v, %s, %v", a, final, folded, text, err)
		}
		domain, err := FoldDomain(a.Domain + final)
		if want := a.Fold().Domain; err != nil || domain != want {
			t.Fatalf("%s%s folds to %s, %v; want %s", a.Domain, final, domain, err, want)
		}
	})
}

func TestFoldingTwiceChangesNothingMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := addresses().Draw(t, "address")
		once := a.Fold()
		if twice := once.Fold(); twice != once {
			t.Fatalf("%v folds to %v, then to %v", a, once, twice)
		}
		if got, err := Parse(once.String()); err != nil || got != once {
			t.Fatalf("%v folds to %v, which reads as %v, %v", a, once, got, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"u@x", `"x> Y"@local`, "@a,@b:u@c", "u@a@b", "postmaster", `"a\"b"@[IPv6:::1]`, "ü@bücher.test", "u@x.",
		"\"\x00\"@x", "u@xn--a.test", `"a"b@c`, "u@0x1", "u@>\u0338",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			if a != (Address{}) {
				t.Fatalf("Parse(%q) gives both %v and %v", s, a, err)
			}
			return
		}
		printed := a.String()
		if strings.ContainsAny(printed, "\r\n\x00") {
			t.Fatalf("%q prints control characters: %q", s, printed)
		}
		if again, err := Parse(printed); err != nil || again != a {
			t.Fatalf("%q prints %q, which is %v, %v", s, printed, again, err)
		}
		if path, rest, err := ParsePath("<" + printed + ">"); err != nil || path != printed || rest != "" {
			t.Fatalf("<%s> reads as %q, %q, %v", printed, path, rest, err)
		}
		fold := a.Fold()
		if fold.Fold() != fold {
			t.Fatalf("%q folds to %v, then to %v", s, fold, fold.Fold())
		}
		if _, err := Parse(fold.String()); err != nil {
			t.Fatalf("%q folds to %v: %v", s, fold, err)
		}
		if ascii, err := a.ASCIIDomain(); err != nil || strings.IndexFunc(ascii, func(r rune) bool { return r > 0x7f }) >= 0 {
			t.Fatalf("%q in ASCII: %q, %v", s, ascii, err)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"<>", "<u@x> SIZE=1", "u@x SIZE=1", `<"a> b"@x>`, `<"`, "<<", `"\`, "<u@x>SIZE"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		path, rest, err := ParsePath(s)
		if err != nil {
			return
		}
		if !strings.Contains(s, path) || !strings.HasSuffix(strings.TrimRight(s, " \t"), rest) {
			t.Fatalf("ParsePath(%q) = %q, %q: not parts of it", s, path, rest)
		}
		again, params, err := ParsePath("<" + path + "> " + rest)
		if err != nil || again != path || params != rest {
			t.Fatalf("ParsePath(%q) = %q, %q, but in brackets %q, %q, %v", s, path, rest, again, params, err)
		}
	})
}
