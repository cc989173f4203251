package address_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "github.com/panelmail/panelmail/internal/address"
)

func TestParseTellsTheLocalPartFromTheDomain(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Address
	}{
		{"u@local.test", Address{"u", "local.test"}},
		{"U.Ser+ext@LOCAL.test", Address{"U.Ser+ext", "LOCAL.test"}},
		{"u@local.test.", Address{"u", "local.test"}},
		{`"u"@local.test`, Address{"u", "local.test"}},
		{`"a b"@local.test`, Address{"a b", "local.test"}},
		{`"a\"\\\b"@local.test`, Address{`a"\b`, "local.test"}},
		{`"u@remote.test"@local.test`, Address{"u@remote.test", "local.test"}},
		{`"..@>"@local.test`, Address{"..@>", "local.test"}},
		{"Postmaster", Address{"Postmaster", ""}},
		{"u@[192.0.2.1]", Address{"u", "[192.0.2.1]"}},
		{"u@[IPv6:2001:db8::1]", Address{"u", "[IPv6:2001:db8::1]"}},
		{"u@[ipv6:::1]", Address{"u", "[ipv6:::1]"}},
		{"u@under_score.test", Address{"u", "under_score.test"}},
		{"u@xn--bcher-kva.test", Address{"u", "xn--bcher-kva.test"}},
		{"jörg@bücher.test", Address{"jörg", "bücher.test"}},
		{"u@bücher_x.test", Address{"u", "bücher_x.test"}},
		{"!#$%&'*+-/=?^_`{|}~@x", Address{"!#$%&'*+-/=?^_`{|}~", "x"}},
		{strings.Repeat("l", MaxLocal) + "@x", Address{strings.Repeat("l", MaxLocal), "x"}},
		{`"` + strings.Repeat(`\"`, MaxLocal) + `"@x`, Address{strings.Repeat(`"`, MaxLocal), "x"}},
		{"u@" + longDomain(MaxDomain), Address{"u", longDomain(MaxDomain)}},
	} {
		got, err := Parse(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", tt.in, got, err, tt.want)
		}
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want error
	}{
		{"", ErrNoLocal},
		{"@", ErrNoLocal},
		{"@local.test", ErrNoLocal},
		{`""@local.test`, ErrNoLocal},
		{"u", ErrNoDomain},
		{"u@", ErrNoDomain},
		{"u@.", ErrNoDomain},
		{`"u@remote.test"`, ErrNoDomain},
		{".u@local.test", ErrLocal},
		{"u.@local.test", ErrLocal},
		{"a..b@local.test", ErrLocal},
		{"a b@local.test", ErrLocal},
		{"a(c)@local.test", ErrLocal},
		{"u>@local.test", ErrLocal},
		{`"u@local.test`, ErrLocal},
		{`"u\"@local.test`, ErrLocal},
		{`"u"x@local.test`, ErrLocal},
		{`x"u"@local.test`, ErrLocal},
		{`"\ü"@local.test`, ErrLocal},
		{"u@a@b", ErrMultipleAt},
		{"u@@b", ErrMultipleAt},
		{`"u"@a@b`, ErrMultipleAt},
		{`"u"@[a@b]`, ErrMultipleAt},
		{"@a,@b:u@c", ErrSourceRoute},
		{"@a:u@c", ErrSourceRoute},
		{"u@-x.test", ErrDomain},
		{"u@x-.test", ErrDomain},
		{"u@.x", ErrDomain},
		{"u@x..", ErrDomain},
		{"u@ü..", ErrDomain},
		{"u@>\u0338.test", ErrDomain}, // normalises to "≯", one letter
		{"u@<\u0338.test", ErrDomain},
		{"u@ü b.test", ErrDomain},
		{"u@x..y", ErrDomain},
		{"u@x y", ErrDomain},
		{"u@x>y", ErrDomain},
		{"u@x;y", ErrDomain},
		{"u@x/y", ErrDomain},
		{"u@" + strings.Repeat("l", 64), ErrDomain},
		{"u@127.0.0.1", ErrDomain},
		{"u@x.1", ErrDomain},
		{"u@2130706433", ErrDomain},
		{"u@0x7f000001", ErrDomain},
		{"u@１２７.0.0.１", ErrDomain},
		{"u@[１27.0.0.1]", ErrLiteral},
		{"u@b\u00fccher\uff20x.test", ErrDomain},
		{"u@\u0378.test", ErrDomain},
		{"u@[", ErrLiteral},
		{"u@[]", ErrLiteral},
		{"u@[1.2.3]", ErrLiteral},
		{"u@[1.2.3.4", ErrLiteral},
		{"u@[1.2.3.4]x", ErrLiteral},
		{"u@[::1]", ErrLiteral},
		{"u@[IPv6:1.2.3.4]", ErrLiteral},
		{"u@[IPv6:fe80::1%eth0]", ErrLiteral},
		{"u@[x:y]", ErrLiteral},
		{strings.Repeat("l", MaxLocal+1) + "@x", ErrTooLong},
		{strings.Repeat("l", 10_000), ErrTooLong},
		{"u@" + longDomain(MaxDomain+1), ErrTooLong},
		{"u@" + strings.Repeat("ü.", 40) + "test", ErrTooLong}, // its A-labels are
		{"u\x00@x", ErrControl},
		{"u\r@x", ErrControl},
		{"u@x\r", ErrControl},
		{"u@x\n", ErrControl},
		{"\"u\r\nRCPT\"@x", ErrControl},
		{"\"u\x1b\"@x", ErrControl},
		{"u\x7f@x", ErrControl},
		{"u\u0085@x", ErrControl},
		{"u\u2028@x", ErrControl},
		{"u\xff@x", ErrUTF8},
		{"u@x\xc3", ErrUTF8},
	} {
		got, err := Parse(tt.in)
		if !errors.Is(err, tt.want) || got != (Address{}) {
			t.Errorf("Parse(%q) = %+v, %v; want %v", tt.in, got, err, tt.want)
		}
	}
}

func TestStringQuotesWhatIsNoDotAtom(t *testing.T) {
	for _, tt := range []struct {
		in   Address
		want string
	}{
		{Address{}, ""},
		{Address{"u", "x"}, "u@x"},
		{Address{"postmaster", ""}, "postmaster"},
		{Address{"a.b", "x"}, "a.b@x"},
		{Address{"a..b", "x"}, `"a..b"@x`},
		{Address{".", "x"}, `"."@x`},
		{Address{"x> Y", "local"}, `"x> Y"@local`},
		{Address{"u@remote", "local"}, `"u@remote"@local`},
		{Address{`"\`, "x"}, `"\"\\"@x`},
		{Address{"", "x"}, `""@x`},
		{Address{"jörg", "x"}, "jörg@x"},
	} {
		if got := tt.in.String(); got != tt.want {
			t.Errorf("%#v prints %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestFoldMakesEqualWhatIsOneMailbox(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"U.Ser@LOCAL.Test", "u.ser@local.test"},
		{"u@Bücher.test", "u@xn--bcher-kva.test"},
		{"u@BÜCHER。test", "u@xn--bcher-kva.test"},
		{"u@XN--BCHER-KVA.test", "u@xn--bcher-kva.test"},
		{"JÖRG@x", "jörg@x"},
		{"mar\u212a@x", "mar\u212a@x"},
		{"u@[IPv6:2001:DB8:0::1]", "u@[ipv6:2001:db8::1]"},
		{"u@[192.0.2.1]", "u@[192.0.2.1]"},
		{"POSTMASTER", "postmaster"},
		{`"A B"@x`, `"a b"@x`},
	} {
		a, err := Parse(tt.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.in, err)
			continue
		}
		if got := a.Fold().String(); got != tt.want {
			t.Errorf("%q folds to %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestADomainIsReadIntoTheFormOfAFoldedAddress(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		err      error
	}{
		{"Shop.Example.", "shop.example", nil},
		{"BÜCHER。test", "xn--bcher-kva.test", nil},
		{"[192.0.2.1]", "", ErrIsLiteral},
		{"", "", ErrNoDomain},
		{"a b", "", ErrDomain},
		{"x@y", "", ErrMultipleAt},
	} {
		if got, err := ParseDomain(tt.in); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%q: %q, %v; want %q, %v", tt.in, got, err, tt.want, tt.err)
		}
	}
}

func TestASCIIDomainIsForTheDNS(t *testing.T) {
	for _, tt := range []struct {
		domain, want string
		err          error
	}{
		{"local.test", "local.test", nil},
		{"bücher.test", "xn--bcher-kva.test", nil},
		{"faß.test", "xn--fa-hia.test", nil}, // not transitional: ß is itself
		{"under_scöre.test", "xn--under_scre-lcb.test", nil},
		{"[192.0.2.1]", "[192.0.2.1]", nil},
		{"", "", nil},
		{"a.ö\u200d.test", "", ErrDomain},
	} {
		got, err := Address{"u", tt.domain}.ASCIIDomain()
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%q: %q, %v; want %q, %v", tt.domain, got, err, tt.want, tt.err)
		}
	}
}

func TestNeedsUTF8AsksForSMTPUTF8OnlyOutsideASCII(t *testing.T) {
	for _, tt := range []struct {
		a    Address
		want bool
	}{
		{Address{"u", "x"}, false},
		{Address{"ü", "x"}, true},
		{Address{"u", "ü"}, true},
	} {
		if got := tt.a.NeedsUTF8(); got != tt.want {
			t.Errorf("%v: %v", tt.a, got)
		}
	}
}

func TestLiteralGivesTheAddressThatIsDialled(t *testing.T) {
	for _, tt := range []struct {
		domain string
		want   netip.Addr
	}{
		{"[192.0.2.1]", netip.MustParseAddr("192.0.2.1")},
		{"[IPv6:2001:db8::1]", netip.MustParseAddr("2001:db8::1")},
		{"[IPv6:::ffff:127.0.0.1]", netip.MustParseAddr("127.0.0.1")},
		{"local.test", netip.Addr{}},
		{"", netip.Addr{}},
	} {
		got, ok := Address{"u", tt.domain}.Literal()
		if got != tt.want || ok != tt.want.IsValid() {
			t.Errorf("%q: %v, %v; want %v", tt.domain, got, ok, tt.want)
		}
	}
}

func TestSplitExtensionCutsAtTheFirstDelimiter(t *testing.T) {
	type result struct{ Base, Extension string }
	for _, tt := range []struct {
		in, delimiters string
		want           result
	}{
		{"u+e@x", "+", result{"u@x", "e"}},
		{"u+e+f@x", "+", result{"u@x", "e+f"}},
		{"u-e+f@x", "+-", result{"u@x", "e+f"}},
		{"u+@x", "+", result{"u@x", ""}},
		{"+e@x", "+", result{"+e@x", ""}},
		{"u+e@x", "", result{"u+e@x", ""}},
		{"u+e@x", "-", result{"u+e@x", ""}},
		{"Mailer-Daemon@x", "-", result{"Mailer-Daemon@x", ""}},
		{"double-bounce@x", "-", result{"double-bounce@x", ""}},
		{"owner-list@x", "-", result{"owner-list@x", ""}},
		{"list-request@x", "-", result{"list-request@x", ""}},
		{"owner-@x", "-", result{"owner@x", ""}},
		{"owner+list@x", "+", result{"owner@x", "list"}},
	} {
		a, err := Parse(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		base, extension := a.SplitExtension(tt.delimiters)
		if diff := cmp.Diff(tt.want, result{base.String(), extension}); diff != "" {
			t.Errorf("%q at %q (-want +got):\n%s", tt.in, tt.delimiters, diff)
		}
	}
}

func TestADomainAloneIsRefusedAsInAnAddress(t *testing.T) {
	for _, domain := range []string{"", ".", "a..b", "-x.test", "x@local.test", "@", "a b", "a\x00b", "\xff", "[192.0.2.300]", "1.2.3.4", longDomain(MaxDomain) + "x"} {
		_, want := Parse("u@" + domain)
		got, err := FoldDomain(domain)
		if want == nil || !errors.Is(err, want) || got != "" {
			t.Errorf("FoldDomain(%q) = %q, %v; want %v", domain, got, err, want)
		}
	}
}

func TestTheKeyOfAFoldedAddressAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Key("user+ext@mail.local.test") }); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestParseOfAPlainAddressAllocatesNothing(t *testing.T) {
	n := testing.AllocsPerRun(100, func() {
		if _, err := Parse("user.name+ext@mail.local.test"); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// longDomain is a domain of n octets with labels that are not too long.
func longDomain(n int) string {
	s := strings.Repeat(strings.Repeat("d", 62)+".", n/63+1)[:n]
	if strings.HasSuffix(s, ".") {
		s = s[:n-2] + "dd"
	}
	return s
}
