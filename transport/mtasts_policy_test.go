package transport_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

func TestAnSTSPolicyIsReadAsItIsWritten(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want transport.STSPolicy
	}{
		"the example of RFC 8461": {
			"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n",
			transport.STSPolicy{Mode: transport.STSEnforce, MX: []string{"mail.example.com", "*.example.net", "backupmx.example.com"}, MaxAge: 604800 * time.Second},
		},
		"line feeds, no blanks, another order, no last line end": {
			"max_age:0\nmx:A.test\nmode:testing\nversion:STSv1",
			transport.STSPolicy{Mode: transport.STSTesting, MX: []string{"a.test"}},
		},
		"none needs no mx": {
			"version: STSv1\nmode: none\nmax_age: 86400\n",
			transport.STSPolicy{Mode: transport.STSNone, MaxAge: 24 * time.Hour},
		},
		"more than a year is a year": {
			"version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 9999999999\n",
			transport.STSPolicy{Mode: transport.STSEnforce, MX: []string{"a.test"}, MaxAge: 31557600 * time.Second},
		},
		"of a field given twice the first counts, and unknown ones do not": {
			"version: STSv1\nmode: enforce\nmode: none\nmx: a.test\nmax_age: 60\nmax_age: x\nversion: STSv2\nx-new.field_1: any thing ü:\n\n",
			transport.STSPolicy{Mode: transport.STSEnforce, MX: []string{"a.test"}, MaxAge: time.Minute},
		},
		"blanks at line ends": {
			"version: STSv1 \nmode:\tenforce\t\nmx:   a.test  \nmax_age: 60 \r\n",
			transport.STSPolicy{Mode: transport.STSEnforce, MX: []string{"a.test"}, MaxAge: time.Minute},
		},
		"names in other letters": {
			"version: STSv1\nmode: enforce\nmx: *.Bücher.test\nmax_age: 60\n",
			transport.STSPolicy{Mode: transport.STSEnforce, MX: []string{"*.xn--bcher-kva.test"}, MaxAge: time.Minute},
		},
	} {
		got, err := transport.ParseSTSPolicy(tt.text)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestAnSTSPolicyThatIsMalformedIsRefused(t *testing.T) {
	const rest = "mode: enforce\nmx: a.test\nmax_age: 60\n"
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":              {"", "no version"},
		"no version":           {rest, "no version"},
		"another version":      {"version: STSv2\n" + rest, `line 1: version "STSv2" is not STSv1`},
		"letters of version":   {"version: stsv1\n" + rest, "is not STSv1"},
		"no mode":              {"version: STSv1\nmx: a.test\nmax_age: 60\n", "no mode"},
		"unknown mode":         {"version: STSv1\nmode: Enforce\n", `line 2: mode "Enforce" is not enforce, testing or none`},
		"no max_age":           {"version: STSv1\nmode: enforce\nmx: a.test\n", "no max_age"},
		"negative max_age":     {"version: STSv1\nmax_age: -1\n", `line 2: max_age "-1" is no number of seconds`},
		"long max_age":         {"version: STSv1\nmax_age: 00000000060\n", "is no number of seconds"},
		"no mx":                {"version: STSv1\nmode: enforce\nmax_age: 60\n", "no mx"},
		"mx is an address":     {"version: STSv1\nmx: [192.0.2.1]\n", `line 2: mx "[192.0.2.1]"`},
		"mx with a star":       {"version: STSv1\nmx: mail.*.test\n", "mx \"mail.*.test\""},
		"mx is a star":         {"version: STSv1\nmx: *\n", "mx \"*\""},
		"mx is empty":          {"version: STSv1\nmx:\n", "mx \"\""},
		"a page of a web site": {"<!DOCTYPE html>\n<title>404</title>\n", "line 1: not of the form name: value"},
		"no colon":             {"version STSv1\n", "line 1: not of the form name: value"},
		"blank before":         {" version: STSv1\n", "line 1: not of the form name: value"},
		"NUL":                  {"version: STSv1\nx: a\x00b\n", "line 2: control characters in x"},
		"no UTF-8":             {"version: STSv1\nx: a\xffb\n", "line 2: control characters in x"},
		"a lone CR":            {"version: STSv1\rmode: enforce\n", "line 1: control characters in version"},
	} {
		p, err := transport.ParseSTSPolicy(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !cmp.Equal(p, transport.STSPolicy{}) {
			t.Errorf("%s: %+v, %v; want %s", name, p, err, tt.want)
		}
	}
}

func TestAnSTSPolicyHasLimits(t *testing.T) {
	policy := func(hosts, line, octets int) string {
		var b strings.Builder
		b.WriteString("version: STSv1\nmode: enforce\nmax_age: 60\nx: " + strings.Repeat("y", line-len("x: ")) + "\n")
		for i := range hosts {
			fmt.Fprintf(&b, "mx: m%d.test\n", i)
		}
		for b.Len() < octets {
			b.WriteString("\n")
		}
		return b.String()
	}
	for name, tt := range map[string]struct {
		text string
		ok   bool
	}{
		"at every limit":   {policy(100, 1024, 64<<10), true},
		"one host more":    {policy(101, 10, 0), false},
		"one octet more":   {policy(1, 10, 64<<10+1), false},
		"a line with more": {policy(1, 1025, 0), false},
	} {
		if _, err := transport.ParseSTSPolicy(tt.text); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnSTSPolicyNamesHosts(t *testing.T) {
	p := transport.STSPolicy{MX: []string{"mail.example.com", "*.example.net", "xn--bcher-kva.test"}}
	for host, want := range map[string]bool{
		"mail.example.com": true, "MAIL.Example.COM.": true, "mx.mail.example.com": false, "example.com": false,
		"a.example.net": true, "a.b.example.net": false, "example.net": false, ".example.net": false,
		"xn--bcher-kva.test": true, "": false, "net": false,
	} {
		if got := p.Matches(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestAnSTSRecordAnnouncesOnePolicy(t *testing.T) {
	for name, tt := range map[string]struct {
		texts []string
		id    string
		ok    bool
	}{
		"the example of RFC 8461":   {[]string{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z", true},
		"no last semicolon":         {[]string{"v=STSv1;id=a"}, "a", true},
		"blanks":                    {[]string{"v=STSv1 ;\tid=a\t; "}, "a", true},
		"other records":             {[]string{"v=spf1 -all", "v=STSv1; id=a", "v=STSv2; id=b", ""}, "a", true},
		"more fields":               {[]string{"v=STSv1; x=y; id=a; x_1.z-2=@!"}, "a", true},
		"two ids":                   {[]string{"v=STSv1; id=a; id=b"}, "a", true},
		"an id of 32":               {[]string{"v=STSv1; id=" + strings.Repeat("a", 32)}, strings.Repeat("a", 32), true},
		"an id of 33":               {[]string{"v=STSv1; id=" + strings.Repeat("a", 33)}, "", false},
		"nothing":                   {nil, "", false},
		"two policies":              {[]string{"v=STSv1; id=a", "v=STSv1; id=a"}, "", false},
		"no id":                     {[]string{"v=STSv1;"}, "", false},
		"an empty id":               {[]string{"v=STSv1; id="}, "", false},
		"an id with something else": {[]string{"v=STSv1; id=a-b"}, "", false},
		"no semicolon":              {[]string{"v=STSv1 id=a"}, "", false},
		"letters of version":        {[]string{"v=stsv1; id=a"}, "", false},
		"letters of id":             {[]string{"v=STSv1; ID=a"}, "", false},
		"blank before":              {[]string{" v=STSv1; id=a"}, "", false},
		"a field without a value":   {[]string{"v=STSv1; id=a; x"}, "", false},
		"an empty field":            {[]string{"v=STSv1; ; id=a"}, "", false},
	} {
		if id, ok := transport.ParseSTSRecord(tt.texts); id != tt.id || ok != tt.ok {
			t.Errorf("%s: %q, %v", name, id, ok)
		}
	}
}

// Whatever a web server says, there is a policy or an error; a policy reads back as it
// is written, and names every host it lists.
func FuzzParseSTSPolicy(f *testing.F) {
	for _, text := range []string{
		"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n",
		"version: STSv1\r\nmode: testing\r\nmx: bücher.test\r\nmax_age: 0\r\n", "version:STSv1\nmode:none\nmax_age:1",
		"", ":", "mx: *.", "version: STSv1\n\n\nmode: enforce\nmax_age: 99999999999\n", "\xff\x00: a",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := transport.ParseSTSPolicy(text)
		if err != nil {
			if !cmp.Equal(p, transport.STSPolicy{}) {
				t.Fatalf("%+v beside %v", p, err)
			}
			return
		}
		if p.MaxAge < 0 || p.MaxAge > 31557600*time.Second || p.Mode != transport.STSNone && len(p.MX) == 0 {
			t.Fatalf("%+v", p)
		}
		again, err := transport.ParseSTSPolicy(p.String())
		if diff := cmp.Diff(p, again); diff != "" || err != nil {
			t.Fatal(err, diff)
		}
		for _, mx := range p.MX {
			if host := strings.Replace(mx, "*", "a", 1); !p.Matches(host) {
				t.Fatalf("%s does not match %s", mx, host)
			}
		}
	})
}

// Whatever stands in the DNS, an id is one that can be compared and shown.
func FuzzParseSTSRecord(f *testing.F) {
	for _, text := range []string{"v=STSv1; id=20160831085700Z;", "v=STSv1 ;x=y\t; id=a", "v=STSv1;;", "v=spf1 -all", "v=STSv1; id=\x00"} {
		f.Add(text, "v=STSv2; id=1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		id, ok := transport.ParseSTSRecord([]string{a, b})
		if ok != (id != "") || len(id) > 32 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > 'z' }) {
			t.Fatalf("%q, %v", id, ok)
		}
		if swapped, _ := transport.ParseSTSRecord([]string{b, a}); swapped != id {
			t.Fatalf("%q one way, %q the other", id, swapped)
		}
	})
}
