package srs

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/address"
)

func TestSendersThatStayAsTheyAre(t *testing.T) {
	r := newRewriter(t, "s")
	for _, sender := range []string{
		"", "bob@fwd.example.net", "Bob@FWD.Example.NET", "bob@fwd.example.net.",
		"SRS0=AAAAAAAA=IL=example.com=alice@fwd.example.net",
	} {
		if got, err := r.Forward(sender); got != sender || err != nil {
			t.Errorf("%q: %q, %v", sender, got, err)
		}
	}
	for _, sender := range []string{"bob@sub.fwd.example.net", "bob@xfwd.example.net"} {
		if got, err := r.Forward(sender); got == sender || err != nil {
			t.Errorf("%q: %q, %v", sender, got, err)
		}
	}
	r.AlwaysRewrite = true
	if got, err := r.Forward(""); got != "" || err != nil {
		t.Errorf("the null reverse-path: %q, %v", got, err)
	}
}

func TestForwardAndReverseAreTwoWaysOfOne(t *testing.T) {
	for want, sender := range map[string]string{
		"alice@example.com":            "alice@example.com",
		"Alice+Tag=x@Example.COM":      "Alice+Tag=x@Example.COM",
		"a=b=c@x.test":                 "a=b=c@x.test",
		"=a@x.test":                    "=a@x.test",
		"dot@x.test":                   "dot@x.test.",
		"joe@y.test":                   `"joe"@y.test`,
		`"quoted local"@example.com`:   `"quoted local"@example.com`,
		`"a@b"@example.com`:            `"a@b"@example.com`,
		`"a@b=c"@example.com`:          `"a@b=c"@example.com`,
		`"\\ \""@example.com`:          `"\\ \""@example.com`,
		`"SRS0=x y"@example.com`:       `"SRS0=x y"@example.com`,
		"joe@[192.0.2.1]":              "joe@[192.0.2.1]",
		"joe@[IPv6:2001:db8::1]":       "joe@[IPv6:2001:db8::1]",
		"joe@xn--bcher-kva.test":       "joe@bücher.test",
		"jürgen@xn--bcher-kva.test":    "jürgen@bücher.test",
		"SRS0=x@one.test":              "SRS0=x@one.test",
		"SRS0=HHHH=TT=a.test=b@c.test": "srs0=HHHH=TT=a.test=b@c.test",
		"SRS0+HHHH=TT=a.test=b@c.test": "SRS0+HHHH=TT=a.test=b@c.test",
		"SRS0-HHHH=TT=a.test=b@c.test": "SRS0-HHHH=TT=a.test=b@c.test",
		"SRS2=x@one.test":              "SRS2=x@one.test",
		"SRS0@one.test":                "SRS0@one.test",
		// Of a chain of forwarders the first one stays.
		"SRS0=HHHH=TT=a.test=b@first.test":  "SRS1=GGGG=first.test==HHHH=TT=a.test=b@second.test",
		"SRS0-HHHH=TT=a.test=c@first.test":  "SRS1+GGGG=first.test=-HHHH=TT=a.test=c@second.test",
		`"SRS0=HHHH=TT=a.test=b c"@c2.test`: `"SRS0=HHHH=TT=a.test=b c"@c2.test`,
	} {
		r := newRewriter(t, "s")
		for _, separator := range []byte("=+-") {
			r.Separator = separator
			a, err := r.Forward(sender)
			if err != nil {
				t.Errorf("%s: %v", sender, err)
				continue
			}
			if parsed, err := address.Parse(a); err != nil || parsed.Domain != "fwd.example.net" || parsed.String() != a {
				t.Errorf("%s becomes %s, which is %v, %v", sender, a, parsed, err)
			}
			if got, err := r.Reverse(a); got != want || err != nil {
				t.Errorf("%s becomes %s becomes %q, %v; want %s", sender, a, got, err, want)
			}
			if got, err := r.Reverse(strings.ToLower(a)); !strings.EqualFold(got, want) || err != nil {
				t.Errorf("%s in lower case becomes %q, %v; want %s", a, got, err, want)
			}
		}
	}
}

func TestTheDomainBehindAnSRSAddressIsIgnored(t *testing.T) {
	r := newRewriter(t, "tops3cr3t")
	for _, a := range []string{
		"SRS0=dZZwRBWP=IL=example.com=alice", "SRS0=dZZwRBWP=IL=example.com=alice@", "SRS0=dZZwRBWP=IL=example.com=alice@x y",
		`"SRS0=dZZwRBWP=IL=example.com=alice"`, `"SRS0=dZZwRBWP=IL=example.com=alice"@else.test`,
	} {
		if got, err := r.reverseAt(newYear, a); got != "alice@example.com" || err != nil {
			t.Errorf("%s: %q, %v", a, got, err)
		}
	}
}

func TestAddressesThatNobodyMadeAreRefused(t *testing.T) {
	r := newRewriter(t, "tops3cr3t")
	// Hash and fields of what a forger can have signed, and where it may not lead.
	signed := func(fields ...string) string {
		return "SRS0=" + r.secrets[0].sign(8, fields...) + "=" + strings.Join(fields, "=") + "@fwd.example.net"
	}
	for _, test := range []struct {
		address string
		want    []error // of the four
	}{
		{"alice@fwd.example.net", []error{ErrNotSRS}},
		{"", []error{ErrNotSRS}},
		{"@", []error{ErrNotSRS}},
		{"SRS0", []error{ErrNotSRS}},
		{"SRS0@fwd.example.net", []error{ErrNotSRS}},
		{"SRS2=dZZwRBWP=IL=example.com=alice@fwd.example.net", []error{ErrNotSRS}},
		{"xSRS0=dZZwRBWP=IL=example.com=alice@fwd.example.net", []error{ErrNotSRS}},
		{`"alice bob"@fwd.example.net`, []error{ErrNotSRS}},
		{`"`, []error{ErrMalformed}},
		{`"SRS0=`, []error{ErrMalformed}},
		{"SRS0=", []error{ErrHash, ErrMalformed}},
		{"SRS0==@x", []error{ErrHash, ErrMalformed}},
		{"SRS0=dZZwRBWP@x", []error{ErrHash, ErrMalformed}},
		{"SRS0=dZZwRBWP=IL@x", []error{ErrHash, ErrMalformed}},
		{"SRS0=dZZwRBWP=IL=example.com@x", []error{ErrHash, ErrMalformed}},
		{"SRS0=dZZwRBWP=ILA=example.com=alice@x", []error{ErrHash, ErrMalformed}},
		{"SRS0=dZZwRBWP=I1=example.com=alice@x", []error{ErrHash, ErrMalformed}},
		{"SRS1+@x", []error{ErrHash, ErrMalformed}},
		{"SRS1=dZZwRBWP@x", []error{ErrHash, ErrMalformed}},
		{"SRS1=dZZwRBWP=first.test@x", []error{ErrHash, ErrMalformed}},
		{"SRS1=dZZwRBWP=first.test=@x", []error{ErrHash, ErrMalformed}},
		{"SRS1=dZZwRBWP=first.test=x@x", []error{ErrHash, ErrMalformed}},
		{"SRS1=dZZwRBWP===h@x", []error{ErrHash, ErrMalformed}},
		{"SRS0=dZZwRBWP=IL=example.com=alice@one@two", []error{ErrHash}},
		{signed("IL", "", "alice"), []error{ErrHash, ErrMalformed}},
		{signed("IL", "example.com", "a b"), []error{ErrHash, ErrMalformed}},
		{signed("IL", "exa mple.com", "alice"), []error{ErrHash, ErrMalformed}},
		{signed("IL", "example.com", "a\r\nb"), []error{ErrHash, ErrMalformed}},
		{signed("HL", "example.com", "alice"), []error{ErrExpired}},
	} {
		got, err := r.reverseAt(newYear, test.address)
		var kinds []error
		for _, kind := range []error{ErrNotSRS, ErrHash, ErrExpired, ErrMalformed} {
			if errors.Is(err, kind) {
				kinds = append(kinds, kind)
			}
		}
		if got != "" || !slices.Equal(kinds, test.want) {
			t.Errorf("%q: %q, %v, which is %v; want %v", test.address, got, err, kinds, test.want)
		}
	}
}

func TestAnAddressWithoutTheTagIsNoSRSAddress(t *testing.T) {
	r := newRewriter(t, "s")
	for local, want := range map[string]string{
		"SRS0=HHHH=TT=a.test=b": "=HHHH=TT=a.test=b",
		"srs1+HHHH=a.test==x":   "+HHHH=a.test==x",
		"Srs0-":                 "-",
		"SRS0":                  "",
		"SRS0x=":                "",
		"SRS2=HHHH=TT=a.test=b": "",
		"xSRS0=HHHH":            "",
		"":                      "",
	} {
		ok := want != ""
		if !ok {
			want = local
		}
		if got, tagged := CutTag(local); got != want || tagged != ok {
			t.Errorf("%q: %q, %v", local, got, tagged)
		}
		if _, err := r.Reverse(local + "@fwd.example.net"); errors.Is(err, ErrNotSRS) == ok {
			t.Errorf("%q: tag %v, reversed: %v", local, ok, err)
		}
	}
}

func TestAChangeAnywhereIsNoticed(t *testing.T) {
	r := newRewriter(t, "tops3cr3t")
	for _, sender := range []string{"alice@example.com", "SRS0=HHHH=TT=orig.example=joe@other.example"} {
		a, err := r.forwardAt(newYear, sender)
		if err != nil {
			t.Fatal(err)
		}
		local, _, _ := strings.Cut(a, "@")
		for i := len("SRS0="); i < len(local); i++ {
			for _, c := range []byte("aZ7=+-.") {
				if foldHash(local[i]) == foldHash(c) {
					continue
				}
				changed := local[:i] + string(c) + local[i+1:] + "@fwd.example.net"
				if got, err := r.reverseAt(newYear, changed); !errors.Is(err, ErrHash) {
					t.Errorf("%s becomes %q, %v", changed, got, err)
				}
			}
		}
	}
}

func TestSendersThatAreNoAddressesAreRefused(t *testing.T) {
	r := newRewriter(t, "s")
	for _, sender := range []string{
		"noatsign", "postmaster", "@x.test", "a@", "a@b@c", "a b@x.test", `"a"b@x.test`, "a@x y", "<a@x.test>", "a@x.test\r\n", "a@-x.test",
		"SRS1=x@one.test", "SRS1=x=first.test@one.test", "SRS1=x=first.test=rest@one.test", "SRS1@",
		"SRS1=x=0==HHHH=TT=a.test=b@one.test", "SRS1=x=-.test==HHHH=TT=a.test=b@one.test",
	} {
		if got, err := r.Forward(sender); got != "" || !errors.Is(err, ErrMalformed) || errors.Is(err, ErrHash) {
			t.Errorf("%q: %q, %v", sender, got, err)
		}
	}
}

func TestWhatIsTooLongIsSaidAndNotCut(t *testing.T) {
	r := newRewriter(t, "s")
	forward := func(local int) (int, error) {
		a, err := r.Forward(strings.Repeat("a", local) + "@example.com")
		before, _, _ := strings.Cut(a, "@")
		return len(before), err
	}
	const fields = len("SRS0=HHHHHHHH=TT=example.com=")
	for _, limit := range []int{0, 64, 100, 1000} {
		r.MaxLocalPart = limit
		most := limit
		if limit == 0 || limit == 1000 {
			most = 254 - len("@fwd.example.net")
		}
		if n, err := forward(most - fields); n != most || err != nil {
			t.Errorf("MaxLocalPart %d: %d octets, %v; want %d", limit, n, err, most)
		}
		if _, err := forward(most - fields + 1); !errors.Is(err, ErrTooLong) {
			t.Errorf("MaxLocalPart %d, %d octets: %v", limit, most+1, err)
		}
	}
}
