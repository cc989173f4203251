package transport_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
	"github.com/panelmail/panelmail/transport/transporttest"
)

// zoneWorld has x.test on two servers, one of them in other.test; x.test delegates
// sub.x.test, and leads a selector by an alias to a zone of a provider.
func zoneWorld() *transporttest.Names {
	names := transporttest.NewNames()
	names.Serve("192.0.2.1", ".", ". 60 IN SOA root. root. 1 60 60 60 60", ". 60 IN NS root.", "root. 60 IN A 192.0.2.1",
		"test. 60 IN NS ns.test.", "ns.test. 60 IN A 192.0.2.2")
	names.Serve("192.0.2.2", "test.", "test. 60 IN SOA ns.test. x. 1 60 60 60 60", "test. 60 IN NS ns.test.", "ns.test. 60 IN A 192.0.2.2",
		"x.test. 60 IN NS ns1.x.test.", "x.test. 60 IN NS ns2.other.test.", "ns1.x.test. 60 IN A 192.0.2.11",
		"other.test. 60 IN NS ns.other.test.", "ns.other.test. 60 IN A 192.0.2.21",
		"provider.test. 60 IN NS ns.provider.test.", "ns.provider.test. 60 IN A 192.0.2.31")
	x := []string{"x.test. 60 IN SOA ns1.x.test. x. 1 60 60 60 60", "x.test. 60 IN NS ns1.x.test.", "x.test. 60 IN NS ns2.other.test.",
		"ns1.x.test. 60 IN A 192.0.2.11", "x.test. 300 IN MX 10 Mail.x.test.", `x.test. 300 IN TXT "v=spf1" " -all"`,
		`odd.x.test. 300 IN TXT "a\"b\\c\195\169"`, "s1._domainkey.x.test. 300 IN CNAME s1.Provider.test.",
		"circle.x.test. 300 IN CNAME round.x.test.", "round.x.test. 300 IN CNAME circle.x.test.",
		"sub.x.test. 60 IN NS ns.sub.x.test.", "ns.sub.x.test. 60 IN A 192.0.2.41"}
	names.Serve("192.0.2.11", "x.test.", x...)
	names.Serve("192.0.2.12", "x.test.", x...)
	names.Serve("192.0.2.21", "other.test.", "other.test. 60 IN SOA ns.other.test. x. 1 60 60 60 60", "other.test. 60 IN NS ns.other.test.",
		"ns.other.test. 60 IN A 192.0.2.21", "ns2.other.test. 60 IN A 192.0.2.12")
	names.Serve("192.0.2.31", "provider.test.", "provider.test. 60 IN SOA ns.provider.test. x. 1 60 60 60 60", "provider.test. 60 IN NS ns.provider.test.",
		"ns.provider.test. 60 IN A 192.0.2.31", `s1.provider.test. 60 IN TXT "v=DKIM1; p=abc"`)
	names.Serve("192.0.2.41", "sub.x.test.", "sub.x.test. 60 IN SOA ns.sub.x.test. x. 1 60 60 60 60", "sub.x.test. 60 IN NS ns.sub.x.test.",
		"ns.sub.x.test. 60 IN A 192.0.2.41", "sub.x.test. 60 IN TXT below")
	return names
}

// told is a publication in a line for each answer.
func told(p transport.Publication) []string {
	var lines []string
	for _, n := range p.Names {
		for _, a := range n.Answers {
			line := fmt.Sprintf("%s in %s: %s[%s] %s", n.Name, n.Zone, a.Server, a.Addr, a.Status)
			for _, more := range []string{a.Alias, a.Detail} {
				if more != "" {
					line += ", " + more
				}
			}
			for _, r := range a.Records {
				line += fmt.Sprintf(", %s %d %s %s", r.Name, r.TTL, r.Type, r.Data)
			}
			lines = append(lines, strings.ReplaceAll(line, "invalid IP", ""))
		}
	}
	return lines
}

func publication(t *testing.T, names *transporttest.Names, name, kind string) transport.Publication {
	t.Helper()
	all, err := names.Resolver().Published(t.Context(), transport.DNSQuestion{Name: name, Type: kind})
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

func TestEveryAuthoritativeServerIsAskedAndAliasesAreFollowedToOtherZones(t *testing.T) {
	for question, want := range map[string][]string{
		"X.test. MX": {
			"x.test in x.test: ns1.x.test[192.0.2.11] found, x.test 300 MX 10 Mail.x.test.",
			"x.test in x.test: ns2.other.test[192.0.2.12] found, x.test 300 MX 10 Mail.x.test."},
		"x.test TXT": {
			`x.test in x.test: ns1.x.test[192.0.2.11] found, x.test 300 TXT "v=spf1" " -all"`,
			`x.test in x.test: ns2.other.test[192.0.2.12] found, x.test 300 TXT "v=spf1" " -all"`},
		"x.test AAAA": {"x.test in x.test: ns1.x.test[192.0.2.11] no data", "x.test in x.test: ns2.other.test[192.0.2.12] no data"},
		"_dmarc.x.test txt": {
			"_dmarc.x.test in x.test: ns1.x.test[192.0.2.11] no name", "_dmarc.x.test in x.test: ns2.other.test[192.0.2.12] no name"},
		"sub.x.test TXT": {`sub.x.test in sub.x.test: ns.sub.x.test[192.0.2.41] found, sub.x.test 60 TXT "below"`},
		"s1._domainkey.x.test TXT": {
			"s1._domainkey.x.test in x.test: ns1.x.test[192.0.2.11] alias, s1.provider.test",
			"s1._domainkey.x.test in x.test: ns2.other.test[192.0.2.12] alias, s1.provider.test",
			`s1.provider.test in provider.test: ns.provider.test[192.0.2.31] found, s1.provider.test 60 TXT "v=DKIM1; p=abc"`},
		"s1._domainkey.x.test CNAME": {
			"s1._domainkey.x.test in x.test: ns1.x.test[192.0.2.11] found, s1._domainkey.x.test 300 CNAME s1.Provider.test.",
			"s1._domainkey.x.test in x.test: ns2.other.test[192.0.2.12] found, s1._domainkey.x.test 300 CNAME s1.Provider.test."},
		"nobody.test MX": {"nobody.test in test: ns.test[192.0.2.2] no name"},
		"circle.x.test A": {
			"circle.x.test in x.test: ns1.x.test[192.0.2.11] alias, round.x.test",
			"circle.x.test in x.test: ns2.other.test[192.0.2.12] alias, round.x.test",
			"round.x.test in x.test: ns1.x.test[192.0.2.11] alias, circle.x.test",
			"round.x.test in x.test: ns2.other.test[192.0.2.12] alias, circle.x.test"},
	} {
		synctest.Test(t, func(t *testing.T) {
			name, kind, _ := strings.Cut(question, " ")
			if d := cmp.Diff(want, told(publication(t, zoneWorld(), name, kind))); d != "" {
				t.Errorf("%s (-want +got):\n%s", question, d)
			}
		})
	}
}

func TestTheTroublesOfAuthoritativeServersAreToldApart(t *testing.T) {
	for fault, want := range map[transporttest.NameFault]string{
		transporttest.Lame:     "lame, it answers REFUSED and does not serve x.test",
		transporttest.Hearsay:  "lame, it answers without authority and does not serve x.test",
		transporttest.ServFail: "failed, it answers SERVFAIL",
		transporttest.Silent:   "timeout, it does not answer",
		transporttest.Closed:   "unreachable, nothing answers at its address: connection refused",
		transporttest.NoRoute:  "no route, this machine has no way to its address",
		transporttest.Garbled:  "broken, what it sends is no answer: dns: short read",
	} {
		synctest.Test(t, func(t *testing.T) {
			names := zoneWorld()
			names.Fault("192.0.2.12", fault)
			want := []string{
				`x.test in x.test: ns1.x.test[192.0.2.11] found, x.test 300 MX 10 Mail.x.test.`,
				"x.test in x.test: ns2.other.test[192.0.2.12] " + want,
			}
			if d := cmp.Diff(want, told(publication(t, names, "x.test", "MX"))); d != "" {
				t.Errorf("fault %d (-want +got):\n%s", fault, d)
			}
		})
	}
}

func TestTheServersOfAZoneThatNoneAnswersForAreThoseThatTheZoneAboveDelegatesTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := zoneWorld()
		names.Fault("192.0.2.11", transporttest.ServFail)
		names.Fault("192.0.2.12", transporttest.Lame)
		want := []string{
			"_dmarc.x.test in x.test: ns1.x.test[192.0.2.11] failed, it answers SERVFAIL",
			"_dmarc.x.test in x.test: ns2.other.test[192.0.2.12] lame, it answers REFUSED and does not serve x.test",
		}
		if d := cmp.Diff(want, told(publication(t, names, "_dmarc.x.test", "TXT"))); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestAServerThatOnlyTheZoneAboveNamesIsAskedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := zoneWorld()
		names.Serve("192.0.2.11", "x.test.", "x.test. 60 IN SOA ns1.x.test. x. 1 60 60 60 60", "x.test. 60 IN NS ns1.x.test.",
			"ns1.x.test. 60 IN A 192.0.2.11", "x.test. 60 IN MX 10 mail.x.test.")
		names.Fault("192.0.2.12", transporttest.Lame)
		want := []string{
			"x.test in x.test: ns1.x.test[192.0.2.11] found, x.test 60 MX 10 mail.x.test.",
			"x.test in x.test: ns2.other.test[192.0.2.12] lame, it answers REFUSED and does not serve x.test",
		}
		if d := cmp.Diff(want, told(publication(t, names, "x.test", "MX"))); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestAnAddressWithoutARouteIsPassedOverIfTheServerHasAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := zoneWorld()
		names.Serve("192.0.2.21", "other.test.", "other.test. 60 IN SOA ns.other.test. x. 1 60 60 60 60", "other.test. 60 IN NS ns.other.test.",
			"ns.other.test. 60 IN A 192.0.2.21", "ns2.other.test. 60 IN A 192.0.2.12", "ns2.other.test. 60 IN AAAA 2001:db8::12")
		names.Fault("2001:db8::12", transporttest.NoRoute)
		want := []string{
			"x.test in x.test: ns1.x.test[192.0.2.11] no data",
			"x.test in x.test: ns2.other.test[192.0.2.12] no data",
		}
		if d := cmp.Diff(want, told(publication(t, names, "x.test", "SRV"))); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestWhatTheRecursiveServersSayCanBeHadAsWell(t *testing.T) {
	for question, want := range map[string][]string{
		"x.test MX":      {"x.test in : [192.0.2.53] found, x.test 300 MX 10 Mail.x.test."},
		"gone.x.test MX": {"gone.x.test in : [192.0.2.53] no name"},
		"s1._domainkey.x.test TXT": {
			"s1._domainkey.x.test in : [192.0.2.53] alias, s1.provider.test",
			`s1.provider.test in : [192.0.2.53] found, s1.provider.test 60 TXT "v=DKIM1; p=abc"`},
		"down.test MX": {"down.test in : [] no zone, server answered SERVFAIL"},
	} {
		synctest.Test(t, func(t *testing.T) {
			name, kind, _ := strings.Cut(question, " ")
			names := zoneWorld()
			if name == "down.test" {
				names.Fault("192.0.2.2", transporttest.Lame)
			}
			all, err := names.Resolver().Resolved(t.Context(), transport.DNSQuestion{Name: name, Type: kind})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, told(all[0])); d != "" {
				t.Errorf("%s (-want +got):\n%s", question, d)
			}
		})
	}
}

func TestWhereNoServersAreKnownThatIsTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := zoneWorld()
		names.Fault("192.0.2.1", transporttest.ServFail)
		want := []string{"x.test in : [] no zone, x.test: server answered SERVFAIL"}
		p := publication(t, names, "x.test", "MX")
		if d := cmp.Diff(want, told(p)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if !p.Leaves()[0].Status.Trouble() {
			t.Error("that is no trouble")
		}
	})
}

func TestTheLeavesOfAPublicationAreTheAnswersBehindItsAliases(t *testing.T) {
	for question, want := range map[string][]string{
		"s1._domainkey.x.test TXT": {"s1.provider.test found v=DKIM1; p=abc"},
		"x.test TXT":               {"x.test found v=spf1 -all", "x.test found v=spf1 -all"},
		"odd.x.test TXT":           {"odd.x.test found a\"b\\cé", "odd.x.test found a\"b\\cé"},
		"circle.x.test TXT":        {"circle.x.test broken the aliases lead in a circle"},
	} {
		synctest.Test(t, func(t *testing.T) {
			name, kind, _ := strings.Cut(question, " ")
			var got []string
			for _, a := range publication(t, zoneWorld(), name, kind).Leaves() {
				line := fmt.Sprintf("%s %s %s", a.Name, a.Status, a.Detail)
				for _, r := range a.Records {
					line += r.Text
				}
				got = append(got, line)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", question, d)
			}
		})
	}
}

func TestWhatIsNoQuestionIsAnError(t *testing.T) {
	for _, q := range []transport.DNSQuestion{
		{"", "MX"}, {"x..test", "MX"}, {strings.Repeat("a", 64) + ".test", "MX"}, {"x.test", ""}, {"x.test", "ANY"}, {"x.test", "NONSENSE"},
	} {
		if _, err := zoneWorld().Resolver().Published(t.Context(), q); err == nil {
			t.Errorf("%+v is a question", q)
		}
	}
}

func TestTheZonesOfManyQuestionsAreLookedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := zoneWorld()
		var questions []transport.DNSQuestion
		for i := range 40 {
			questions = append(questions, transport.DNSQuestion{Name: fmt.Sprintf("n%d.x.test", i), Type: "TXT"})
		}
		all, err := names.Resolver().Published(t.Context(), questions...)
		if err != nil || len(all) != 40 || all[39].Names[0].Name != "n39.x.test" {
			t.Fatalf("%d publications, %v", len(all), err)
		}
		asked := names.Asked()
		above := slices.DeleteFunc(slices.Clone(asked), func(q string) bool { return !strings.HasPrefix(q, "192.0.2.2 ") })
		if d := cmp.Diff([]string{"192.0.2.2 x.test NS"}, above); d != "" {
			t.Errorf("of the zone above (-want +got):\n%s", d)
		}
		if len(asked) != 81 {
			t.Errorf("%d queries, want one above and two for each name", len(asked))
		}
	})
}
