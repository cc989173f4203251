package dnstmpl_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/panelmail/panelmail/dnstmpl"
)

// zone reads records of example.com, whose names may be given without the zone, and
// whose TTL and class are left out.
func zone(t interface{ Fatal(...any) }, lines ...string) dnstmpl.Zone {
	var text strings.Builder
	for _, line := range lines {
		name, rest, _ := strings.Cut(line, " ")
		if name == "@" {
			name = "example.com."
		} else if !strings.HasSuffix(name, ".") {
			name += ".example.com."
		}
		fmt.Fprintf(&text, "%s 3600 IN %s\n", name, rest)
	}
	z, err := dnstmpl.ParseZone("test", "example.com", text.String())
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestDiffTellsWhatToAddChangeAndRemove(t *testing.T) {
	for _, test := range []struct {
		name            string
		want, published []string
		changes         []string
	}{
		{"nothing is published", []string{"@ MX 10 mail.example.com."}, nil, []string{"add MX 10 mail.example.com."}},
		{"all is published", []string{"@ MX 10 mail.example.com."}, []string{"@ MX 10 mail.example.com."}, nil},
		{"another exchanger", []string{"@ MX 10 mail.example.com."}, []string{"@ MX 10 old.example.net."},
			[]string{"change MX 10 old.example.net. to MX 10 mail.example.com."}},
		{"a preference", []string{"@ MX 10 a.example.com.", "@ MX 20 b.example.com."}, []string{"@ MX 20 a.example.com.", "@ MX 30 old.example.net."},
			[]string{"change MX 20 a.example.com. to MX 10 a.example.com.", "change MX 30 old.example.net. to MX 20 b.example.com."}},
		{"an exchanger too many", []string{"@ MX 10 mail.example.com."}, []string{"@ MX 10 old.example.net.", "@ MX 10 mail.example.com."},
			[]string{"remove MX 10 old.example.net."}},
		{"records of others", []string{"@ MX 10 mail.example.com."},
			[]string{"@ A 192.0.2.9", "www A 192.0.2.9", `@ TXT "site-verification=1"`, "@ MX 10 mail.example.com."}, nil},
		{"an address of the other family", []string{"mail A 192.0.2.1"}, []string{"mail A 192.0.2.1", "mail AAAA 2001:db8::9"},
			[]string{"remove AAAA 2001:db8::9"}},
		{"an alias in the way", []string{"mail A 192.0.2.1", "mail AAAA 2001:db8::1"}, []string{"mail CNAME old.example.net."},
			[]string{"remove CNAME old.example.net.", "add A 192.0.2.1", "add AAAA 2001:db8::1"}},
		{"data in the way of an alias", []string{"mail CNAME host.example.net."}, []string{"mail A 192.0.2.1", `mail TXT "x"`},
			[]string{"remove A 192.0.2.1", `remove TXT "x"`, "add CNAME host.example.net."}},
		{"an SPF record of the customer's", []string{`@ TXT "v=spf1 ip4:192.0.2.1 ~all"`},
			[]string{`@ TXT "v=spf1 include:newsletter.example.net -all"`, `@ TXT "other"`},
			[]string{`change TXT "v=spf1 include:newsletter.example.net -all" to TXT "v=spf1 include:newsletter.example.net ip4:192.0.2.1 -all"`}},
		{"an SPF record that says it already", []string{`@ TXT "v=spf1 ip4:192.0.2.1 ~all"`},
			[]string{`@ TXT "V=SPF1 a ip4:192.0.2.0/24 -all"`}, nil},
		{"tags with other blanks", []string{`_dmarc TXT "v=DMARC1; p=none"`, `s._domainkey TXT "v=DKIM1; k=rsa; p=AAAA"`},
			[]string{`_dmarc TXT "v=DMARC1;p=none;"`, `s._domainkey TXT "v=DKIM1; p=AA AA"`}, nil},
		{"blanks in a version", []string{`_dmarc TXT "v=DMARC1; p=reject"`}, []string{`_dmarc TXT "v = DMARC1; p=none"`},
			[]string{`change TXT "v = DMARC1; p=none" to TXT "v=DMARC1; p=reject"`}},
		{"parts of ours", []string{`@ TXT "v=spf1 include:_spf1.example.com ~all"`, `_spf1 TXT "v=spf1 ip4:192.0.2.1 ip4:192.0.2.3 -all"`},
			[]string{`@ TXT "v=spf1 include:_spf1.example.com ~all"`, `_spf1 TXT "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all"`},
			[]string{`change TXT "v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 -all" to TXT "v=spf1 ip4:192.0.2.1 ip4:192.0.2.3 -all"`}},
		{"a part that others use", []string{`_spf1 TXT "v=spf1 ip4:192.0.2.1 -all"`}, []string{`_spf1 TXT "v=spf1 include:one.test -all"`},
			[]string{`change TXT "v=spf1 include:one.test -all" to TXT "v=spf1 include:one.test ip4:192.0.2.1 -all"`}},
		{"another DKIM key", []string{`s._domainkey TXT "v=DKIM1; k=rsa; p=AAAA"`}, []string{`s._domainkey TXT "v=DKIM1; k=rsa; p=BBBB"`},
			[]string{`change TXT "v=DKIM1; k=rsa; p=BBBB" to TXT "v=DKIM1; k=rsa; p=AAAA"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, c := range zone(t, test.want...).Diff(zone(t, test.published...)) {
				if c.Why == "" {
					t.Errorf("%v says not why", c)
				}
				got = append(got, brief(c))
			}
			if diff := cmp.Diff(test.changes, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func brief(c dnstmpl.Change) string {
	value := func(r dnstmpl.Record) string { return r.Type() + " " + r.Value.String() }
	switch c.Op {
	case dnstmpl.Add:
		return "add " + value(c.Want)
	case dnstmpl.Remove:
		return "remove " + value(c.Have)
	}
	return "change " + value(c.Have) + " to " + value(c.Want)
}

func TestOfTwoPublishedSPFRecordsOneIsLeftWithWhatBothSay(t *testing.T) {
	published := dnstmpl.Zone{Name: "example.com.", Records: []dnstmpl.Record{
		{Name: "example.com.", TTL: 60, Value: dnstmpl.TXT{Text: "v=spf1 a ~all"}},
		{Name: "example.com.", TTL: 60, Value: dnstmpl.TXT{Text: "v=spf1 include:one.test ?all"}},
	}}
	left := apply(t, published, zone(t, `@ TXT "v=spf1 ip4:192.0.2.1 ~all"`).Diff(published))
	want := []dnstmpl.Record{{Name: "example.com.", TTL: 3600, Value: dnstmpl.TXT{Text: "v=spf1 a include:one.test ip4:192.0.2.1 ~all"}}}
	if diff := cmp.Diff(want, left.Records); diff != "" {
		t.Error(diff)
	}
}

func TestWhatAnAliasLeadsToCountsAsPublished(t *testing.T) {
	const text = "v=DKIM1; p=AAAA"
	published := dnstmpl.Zone{Name: "example.com.", Records: []dnstmpl.Record{
		{Name: "s._domainkey.example.com.", TTL: 60, Value: dnstmpl.CNAME{Target: "s.keys.example.net."}},
		{Name: "s._domainkey.example.com.", TTL: 60, Value: dnstmpl.TXT{Text: text}},
	}}
	if changes := zone(t, `s._domainkey TXT "`+text+`"`).Diff(published); len(changes) > 0 {
		t.Errorf("got %v", changes)
	}
}

func TestAZoneThatIsChangedAsDiffSaysHasNoDifferenceLeft(t *testing.T) {
	names := []string{"@", "mail", "s._domainkey", "_dmarc"}
	values := []string{
		"A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1", "MX 10 a.example.net.", "MX 20 a.example.net.", "MX 20 b.example.net.",
		"CNAME a.example.net.", `TXT "v=spf1 a -all"`, `TXT "v=spf1 ip4:192.0.2.1 -mx ?all"`, `TXT "v=spf1 ip4:192.0.2.1 redirect=x.test"`,
		`TXT "v=DMARC1; p=none"`, `TXT "v=DMARC1; p=reject"`, `TXT "v=DKIM1; p=AAAA"`, `TXT "anything"`,
	}
	record := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom(names).Draw(t, "name") + " " + rapid.SampledFrom(values).Draw(t, "value")
	})
	draw := func(t *rapid.T, label string) dnstmpl.Zone {
		z := dnstmpl.Zone{Name: "example.com."}
		for _, line := range rapid.SliceOfN(record, 0, 8).Draw(t, label) {
			one, err := dnstmpl.ParseZone("x", "example.com", lineOf(line))
			if err != nil {
				continue // an alias at the apex
			}
			if sum := (dnstmpl.Zone{Name: z.Name, Records: append(slices.Clone(z.Records), one.Records...)}); valid(sum) && !slices.Contains(z.Records, one.Records[0]) {
				z = sum
			}
		}
		return z
	}
	rapid.Check(t, func(t *rapid.T) {
		want, published := draw(t, "want"), draw(t, "published")
		after := published
		for _, change := range want.Diff(published) {
			if after = apply(t, after, []dnstmpl.Change{change}); !valid(after) {
				t.Fatalf("%v makes a zone that is not allowed:\n%s", change, after)
			}
		}
		if again := want.Diff(after); len(again) > 0 {
			t.Fatalf("want\n%s\nafter\n%s\nstill %v", want, after, again)
		}
	})
}

func lineOf(line string) string {
	name, rest, _ := strings.Cut(line, " ")
	if name == "@" {
		return "example.com. 3600 IN " + rest
	}
	return name + ".example.com. 3600 IN " + rest
}

func valid(z dnstmpl.Zone) bool {
	_, err := dnstmpl.ParseZone("x", "example.com", z.String())
	return err == nil
}

// apply does what changes say; each record that they have must be there.
func apply(t interface{ Fatalf(string, ...any) }, z dnstmpl.Zone, changes []dnstmpl.Change) dnstmpl.Zone {
	z.Records = slices.Clone(z.Records)
	for _, c := range changes {
		if c.Op != dnstmpl.Add {
			i := slices.Index(z.Records, c.Have)
			if i < 0 {
				t.Fatalf("%v: not published\n%s", c, z)
			}
			z.Records = slices.Delete(z.Records, i, i+1)
		}
		if c.Op != dnstmpl.Remove {
			z.Records = append(z.Records, c.Want)
		}
	}
	return z
}

func TestDiffTakesNoAddressesFromANameThatIsOthersToo(t *testing.T) {
	want, published := zone(t, "mail A 192.0.2.1"), zone(t, "mail A 192.0.2.2", "mail AAAA 2001:db8::2")
	want.Shared = []string{"mail.example.com."}
	var got []string
	for _, c := range want.Diff(published) {
		got = append(got, brief(c))
	}
	if diff := cmp.Diff([]string{"add A 192.0.2.1"}, got); diff != "" {
		t.Error(diff)
	}
}
