package srs

import (
	"errors"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/address"
)

func seed(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Input)
	}
	for _, s := range []string{
		"", "@", "SRS0=", "SRS1==", "SRS0====@", `"SRS0=a\"`, `"a@b"@c`, `"SRS1=a=b==\"@"@c`, "SRS1=h=f==@x", "a@[IPv6:::1]", "ü@bücher.test", "SRS1=h=\xff==x@y", "SRS1+=0=+@A", "SRS1=h=f.test.==x@y",
	} {
		f.Add(s)
	}
}

// FuzzForward: what comes out is an address of our domain that leads back, and in no
// other to any other.
func FuzzForward(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, sender string) {
		r := newRewriter(t, "s", "t")
		a, err := r.forwardAt(newYear, sender)
		if err != nil || a == sender {
			if a != "" && err != nil {
				t.Fatalf("%q: both %q and %v", sender, a, err)
			}
			return
		}
		given, err := address.Parse(sender)
		if err != nil {
			t.Fatalf("%q becomes %q, and is no address: %v", sender, a, err)
		}
		made, err := address.Parse(a)
		if err != nil || made.Domain != "fwd.example.net" || made.String() != a || len(a) > 254 {
			t.Fatalf("%q becomes %q, which is %v, %v", sender, a, made, err)
		}
		back, err := r.reverseAt(newYear, a)
		if err != nil {
			t.Fatalf("%q becomes %q: %v", sender, a, err)
		}
		given.Domain, _ = given.ASCIIDomain()
		version, rest := tag(given.Local)
		want := given
		switch version {
		case tag0:
			want.Local = tag0 + rest
		case tag1:
			_, want.Domain, rest, _ = fields1(rest)
			want.Local = tag0 + rest
		}
		want, err = address.Parse(want.String()) // a host may have a final dot
		if err != nil || back != want.String() {
			t.Fatalf("%q becomes %q becomes %q, want %q, %v", sender, a, back, want, err)
		}
	})
}

// FuzzReverse: nothing comes out but whole addresses, and none of what somebody
// without the secret has made.
func FuzzReverse(f *testing.F) {
	seed(f)
	ours := newRewriter(f, "tops3cr3t")
	ours.HashLength = 4 // that of the vectors
	theirs := newRewriter(f, "another")
	theirs.HashLength = 27
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := theirs.reverseAt(newYear, s); err == nil {
			t.Fatalf("%q becomes %q without its secret", s, got)
		}
		got, err := ours.reverseAt(newYear, s)
		if err != nil {
			if got != "" {
				t.Fatalf("%q: both %q and %v", s, got, err)
			}
			return
		}
		if a, err := address.Parse(got); err != nil || a.String() != got || a.Domain == "" {
			t.Fatalf("%q becomes %q, which is %v, %v", s, got, a, err)
		}
		if upper, err := ours.reverseAt(newYear, strings.ToUpper(s)); err != nil && isASCII(s) || isASCII(s) && !strings.EqualFold(upper, got) {
			t.Fatalf("%q becomes %q, and in upper case %q, %v", s, got, upper, err)
		}
		if _, err := ours.reverseAt(newYear.AddDate(0, 0, 400), s); !errors.Is(err, ErrExpired) && !strings.HasPrefix(got, "SRS0") {
			t.Fatalf("%q does not expire: %v", s, err)
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) < 0
}
