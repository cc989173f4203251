package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

// The parts of planners in these tests answer everybody alike.

func sourceIs(s transport.Source) transport.SourcerFunc {
	return func(context.Context, transport.Query) (transport.Source, string, bool, error) {
		return s, "the source", true, nil
	}
}

func smartHostIs(nexthop string) transport.SmartHosterFunc {
	return func(context.Context, transport.Query) (string, string, bool, error) {
		return nexthop, "the sender's smart host", true, nil
	}
}

func credentialIs(c transport.Credential) transport.CredentialerFunc {
	return func(context.Context, transport.Query, string) (transport.Credential, string, bool, error) {
		return c, "the credential", true, nil
	}
}

func tlsIs(level transport.TLSLevel) transport.TLSPolicerFunc {
	return func(context.Context, transport.Query, string) (transport.TLSPolicy, string, bool, error) {
		return transport.TLSPolicy{Level: level}, "the policy", true, nil
	}
}

func routeIs(value string) transport.RouterFunc {
	return func(context.Context, transport.Query) (transport.Route, string, bool, error) {
		r, err := transport.ParseRoute(value)
		return r, "the route", true, err
	}
}

var loopback7 = transport.Source{Name: "seven", IPv4: netip.MustParseAddr("127.0.0.7"), HELO: "x.test"}

func plan(t *testing.T, p *transport.Planner, recipient string) transport.Plan {
	t.Helper()
	got, err := p.Plan(t.Context(), transport.Query{Sender: "s@site.test", Recipient: recipient})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// rules are the reasons of a plan, by part.
func rules(p transport.Plan) map[string]string {
	m := map[string]string{}
	for _, b := range p.Because {
		m[b.Part] = b.Rule
	}
	return m
}

func TestPlannerTakesTheNextHopOfTheFirstThatNamesOne(t *testing.T) {
	const (
		fromMap       = "the route"
		fromSender    = "the default of the sender"
		fromSmartHost = "the sender's smart host"
		fromGlobal    = "Planner.SmartHost"
	)
	for _, test := range []struct {
		route, defaults, bySender, global string // "-": not there
		transport, nexthop, rule          string
		smartHost                         bool
	}{
		{"-", "-", "-", "", "smtp", "other.test", "default", false},
		{"-", "-", "-", "[g]:587", "smtp", "[g]:587", fromGlobal, true},
		{"-", "-", "[s]", "[g]", "smtp", "[s]", fromSmartHost, true},
		{"-", "-", "", "[g]", "smtp", "other.test", fromSmartHost, false},
		{"-", "oneshot:", "-", "[g]", "oneshot", "[g]", fromGlobal, true},
		{"-", "oneshot:", "-", "", "oneshot", "other.test", "default", false},
		{"-", "oneshot:[d]", "[s]", "[g]", "oneshot", "[d]", fromSender, false},
		{"-", ":[d]", "[s]", "[g]", "smtp", "[d]", fromSender, false},
		{"relaylim:", "oneshot:[d]", "[s]", "[g]", "relaylim", "other.test", fromMap, false},
		{"relaylim:[m]", "oneshot:[d]", "[s]", "[g]", "relaylim", "[m]", fromMap, false},
		{":[m]", "oneshot:[d]", "[s]", "[g]", "oneshot", "[m]", fromMap, false},
		{":", "oneshot:[d]", "[s]", "[g]", "oneshot", "[d]", fromSender, false},
		{":", "-", "[s]", "[g]", "smtp", "[s]", fromSmartHost, true},
		{":", "-", "-", "", "smtp", "other.test", "default", false},
		{"error:", "-", "[s]", "[g]", "error", "Address is undeliverable", fromMap, false},
		{"discard:", "-", "[s]", "[g]", "discard", "discarded", fromMap, false},
		{"-", "error:", "[s]", "[g]", "error", "Address is undeliverable", fromSender, false},
		{"nope:", "-", "[s]", "[g]", "nope", "Address is undeliverable", fromMap, false},
	} {
		p := &transport.Planner{SmartHost: test.global, Transports: transport.Builtin()}
		p.Transports["nope"] = transport.Definition{Name: "nope", Base: "error"}
		if test.route != "-" {
			p.Routes = routeIs(test.route)
		}
		if test.defaults != "-" {
			p.Defaults = transport.RouterFunc(func(ctx context.Context, q transport.Query) (transport.Route, string, bool, error) {
				r, _, ok, err := routeIs(test.defaults)(ctx, q)
				return r, fromSender, ok, err
			})
		}
		if test.bySender != "-" {
			p.SmartHosts = smartHostIs(test.bySender)
		}
		got := plan(t, p, "U@Other.Test.")
		if got.Transport != test.transport || got.Nexthop != test.nexthop ||
			got.SmartHost != test.smartHost || rules(got)["nexthop"] != test.rule {
			t.Errorf("%+v:\ngot %s:%s, smart host %v, because of %q", test, got.Transport, got.Nexthop, got.SmartHost, rules(got)["nexthop"])
		}
	}
}

func TestPlannerNeverLowersTLS(t *testing.T) {
	secret := transport.Credential{User: "u", Password: "hunter2"}
	for _, test := range []struct {
		def, policy transport.TLSLevel
		credential  transport.Credential
		want        transport.TLSLevel // empty: an error
	}{
		{"", "", transport.Credential{}, transport.TLSMay},
		{"none", "", transport.Credential{}, transport.TLSNone},
		{"encrypt", "", transport.Credential{}, transport.TLSEncrypt},
		{"encrypt", "none", transport.Credential{}, transport.TLSNone}, // a policy for one next hop may be lower
		{"", "encrypt", transport.Credential{}, transport.TLSEncrypt},
		{"", "", secret, transport.TLSEncrypt},
		{"none", "", secret, transport.TLSEncrypt},
		{"", "none", secret, transport.TLSEncrypt},
		{"", "may", secret, transport.TLSEncrypt},
		{"", "encrypt", secret, transport.TLSEncrypt},
		{"dane", "", transport.Credential{}, transport.TLSDANE},
		{"", "verify", transport.Credential{}, transport.TLSVerify},
		{"", "secure", secret, transport.TLSSecure},
		{"", "dane", secret, transport.TLSDANE},
		{"half-dane", "", transport.Credential{}, ""},
		{"", "Encrypt", transport.Credential{}, ""},
		{"secure", "may", transport.Credential{}, transport.TLSMay},
	} {
		p := &transport.Planner{DefaultTLS: test.def, SmartHost: "[h]:587"}
		if test.policy != "" {
			p.TLS = tlsIs(test.policy)
		}
		if test.credential != (transport.Credential{}) {
			p.Credentials = credentialIs(test.credential)
		}
		got, err := p.Plan(t.Context(), transport.Query{Recipient: "u@other.test"})
		if got.TLS != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%+v: got %q, %v", test, got.TLS, err)
		}
		if err != nil && !strings.Contains(err.Error(), "is not known") {
			t.Errorf("%+v: unclear error %v", test, err)
		}
	}
}

func TestPlanTellsTheRuleBehindEveryPart(t *testing.T) {
	p := &transport.Planner{
		Routes:      parse(t, "\n.ru relaylim:\n"),
		Sources:     sourceIs(loopback7),
		Credentials: credentialIs(transport.Credential{User: "u", Password: "p"}),
		TLS:         tlsIs(transport.TLSMay),
	}
	got := plan(t, p, "u@x.ru")
	want := []transport.Because{
		{Part: "transport", Rule: "transport:2: .ru"},
		{Part: "nexthop", Rule: "transport:2: .ru"},
		{Part: "source", Rule: "the source"},
		{Part: "helo", Rule: "the source"},
		{Part: "credential", Rule: "the credential"},
		{Part: "tls", Rule: "a credential needs encrypt, not may (the policy)"},
		{Part: "attempts", Rule: "default"},
		{Part: "limit", Rule: "transport relaylim"},
		{Part: "schedule", Rule: "default"},
		{Part: "lane", Rule: "source and next hop"},
	}
	if diff := cmp.Diff(want, got.Because); diff != "" {
		t.Error(diff)
	}
}

func TestPlanAsJSONHoldsNoPassword(t *testing.T) {
	p := &transport.Planner{
		SmartHost:   "[Smart.test]:587",
		Sources:     sourceIs(loopback7),
		Credentials: credentialIs(transport.Credential{User: "me", Password: "hunter2"}),
	}
	got := plan(t, p, "u@other.test")
	got.Because = nil
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"transport":"smtp","nexthop":"[Smart.test]:587",` +
		`"source":{"name":"seven","ipv4":"127.0.0.7","helo":"x.test"},"helo":"x.test","tls":"encrypt","credential":"me:***",` +
		`"smart_host":true,"attempts":0,"limit":20,"initial":5,"destination":"[smart.test]:587",` +
		`"lane":"127.0.0.7,,x.test/[smart.test]:587","because":null}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, got); strings.Contains(s, "hunter2") {
			t.Errorf("%s prints the password: %s", verb, s)
		}
	}
}

func TestWhatCannotBePlannedIsAnErrorThatSaysWhy(t *testing.T) {
	broken := errors.New("disk on fire")
	none := transport.Route{}
	for _, test := range []struct {
		name, recipient string
		planner         transport.Planner
		want            string
		status          string // of a reply in the error
	}{
		{"an unknown transport", "u@a.test", transport.Planner{Routes: parse(t, "a.test nowhere:")},
			`transport: unknown transport "nowhere" (transport:1: a.test)`, ""},
		{"an unknown default", "u@a.test", transport.Planner{Default: transport.Route{Transport: "deft"}},
			`transport: unknown transport "deft" (default)`, ""},
		{"an unknown TLS level", "u@a.test", transport.Planner{TLS: tlsIs("half-dane")},
			`tls: TLS level "half-dane" is not known (the policy)`, ""},
		{"no domain", "postmaster", transport.Planner{}, `nexthop: postmaster has no domain`, ""},
		{"a malformed domain", "u@b..test", transport.Planner{},
			`nexthop: 501 5.1.3 Bad recipient address syntax: malformed domain`, "5.1.3"},
		{"routes that cannot be read", "u@a.test", transport.Planner{Routes: transport.RouterFunc(
			func(context.Context, transport.Query) (transport.Route, string, bool, error) {
				return none, "", false, broken
			})},
			`transport: disk on fire`, ""},
		{"a reply by routes", "u@a.test", transport.Planner{Routes: transport.RouterFunc(
			func(context.Context, transport.Query) (transport.Route, string, bool, error) {
				return none, "site", false, transport.Replyf(550, "5.7.1", "suspended")
			})}, `transport: 550 5.7.1 suspended (site)`, "5.7.1"},
		{"sources that cannot be read", "u@a.test", transport.Planner{Sources: transport.SourcerFunc(
			func(context.Context, transport.Query) (transport.Source, string, bool, error) {
				return transport.Source{}, "", false, broken
			})}, `source: disk on fire`, ""},
		{"smart hosts that cannot be read", "u@a.test", transport.Planner{SmartHosts: transport.SmartHosterFunc(
			func(context.Context, transport.Query) (string, string, bool, error) { return "", "", false, broken })},
			`nexthop: disk on fire`, ""},
		{"credentials that cannot be read", "u@a.test", transport.Planner{Credentials: transport.CredentialerFunc(
			func(context.Context, transport.Query, string) (transport.Credential, string, bool, error) {
				return transport.Credential{}, "", false, broken
			})}, `credential: disk on fire`, ""},
		{"policies that cannot be read", "u@a.test", transport.Planner{TLS: transport.TLSPolicerFunc(
			func(context.Context, transport.Query, string) (transport.TLSPolicy, string, bool, error) {
				return transport.TLSPolicy{}, "", false, broken
			})}, `tls: disk on fire`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.planner.Plan(t.Context(), transport.Query{Recipient: test.recipient})
			if diff := cmp.Diff(test.want, fmt.Sprint(err)); diff != "" {
				t.Error(diff)
			}
			if _, ok := errors.AsType[*transport.PlanError](err); !ok {
				t.Errorf("%T is no PlanError", err)
			}
			reply, ok := errors.AsType[transport.Reply](err)
			if ok != (test.status != "") || ok && reply.Status() != test.status {
				t.Errorf("reply %v in the error, want status %q", reply, test.status)
			}
		})
	}
}

func TestTransportsWithoutANetworkHaveNoSecrets(t *testing.T) {
	p := &transport.Planner{
		Routes:      routeIs("discard:silently"),
		Credentials: credentialIs(transport.Credential{User: "u", Password: "p"}),
		TLS:         tlsIs("unknown"),
	}
	got := plan(t, p, "u@a.test")
	if got.TLS != "" || got.Credential != (transport.Credential{}) || got.Destination != "discard:" {
		t.Errorf("got %+v", got)
	}
}

// policies is a TLS policy table, searched as those of Postfix are.
func policies(table map[string]transport.TLSLevel) transport.TLSPolicerFunc {
	return func(_ context.Context, _ transport.Query, nexthop string) (transport.TLSPolicy, string, bool, error) {
		for _, key := range transport.TLSKeys(nexthop) {
			if level, ok := table[key]; ok {
				return transport.TLSPolicy{Level: level}, key, true, nil
			}
		}
		return transport.TLSPolicy{}, "", false, nil
	}
}

// Which of them will answer is not known, and a plan has one policy.
func TestThePolicyOfAListKeepsThatOfEachElementOrThePlanFails(t *testing.T) {
	pin := func(c string) string { return "fingerprint match=" + strings.Repeat(c, 64) }
	for _, test := range []struct{ a, b, want string }{
		{"encrypt", "dane", ""},
		{"dane", "encrypt", ""},
		{pin("a"), "dane", ""},
		{pin("a"), "encrypt", ""},
		{pin("a"), pin("b"), ""},
		{pin("a"), pin("a"), "fingerprint of [a]"},
		{"dane-only", "verify", ""},
		{"dane-only", "encrypt", ""},
		{"dane", "secure", ""},
		{"may", "dane", "dane of [b]"},
		{"dane", "may", "dane of [a]"},
		{"dane", "none", "dane of [a]"},
		{"none", "may", "may of [b]"},
		{"encrypt", "none", "encrypt of [a]"},
		{"encrypt", "verify match=x.test", "verify of [b]"},
		{"encrypt min=1.3", "verify", ""},
		{"encrypt", "verify min=1.0", ""},
		{"encrypt", "verify min=1.3", "verify of [b]"},
		{"encrypt ciphers=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "secure", ""},
		{"may min=1.3", "encrypt", ""},
		{"verify", "secure", "secure of [b]"},
		{"verify", "secure match=x.test", ""},
		{"secure", "verify match=x.test", ""},
		{"secure match=x.test", "secure match=y.test", ""},
	} {
		p := &transport.Planner{SmartHost: "[a], [b]", TLS: transport.TLSPolicerFunc(
			func(_ context.Context, _ transport.Query, nexthop string) (transport.TLSPolicy, string, bool, error) {
				line, ok := map[string]string{"[a]": test.a, "[b]": test.b}[nexthop]
				if !ok {
					return transport.TLSPolicy{}, "", false, nil
				}
				words := strings.Fields(line)
				policy, err := transport.ParseTLSPolicy(words[0], words[1:]...)
				return policy, nexthop, true, err
			})}
		plan, err := p.Plan(t.Context(), transport.Query{Recipient: "u@a.test"})
		got := fmt.Sprintf("%s of %s", plan.TLS, rules(plan)["tls"])
		want := test.want
		if err != nil {
			got = err.Error()
		}
		if want == "" {
			want = "tls: the next hops [a] and [b] stand in one list, and neither TLS policy covers the other ([b])"
		}
		if got != want {
			t.Errorf("%s and %s: %s, want %s", test.a, test.b, got, want)
		}
	}
}

func TestMTASTSCountsForAListIfItDoesForOneElement(t *testing.T) {
	table := policies(map[string]transport.TLSLevel{"[m]": "may", "e.test": "encrypt", "m.test": "may"})
	for nexthop, want := range map[string]bool{
		"[m], b.test": true, "b.test, [m]": true, "e.test, b.test": true, "b.test, e.test": true,
		"b.test": true, "[m]": false, "m.test, e.test": false, "[m], [other]": false,
	} {
		p := &transport.Planner{TLS: table, SmartHost: nexthop}
		plan, err := p.Plan(t.Context(), transport.Query{Recipient: "u@a.test"})
		if err != nil || plan.TLSTerms.Published != want {
			t.Errorf("%q: %v, %v", nexthop, plan.TLSTerms.Published, err)
		}
	}
}

// TestAListHasTheStrictestPolicyOfItsElements: which of them will answer is not known.
func TestAListHasTheStrictestPolicyOfItsElements(t *testing.T) {
	table := policies(map[string]transport.TLSLevel{
		"[e]:587": "encrypt", "[n]:587": "none", "[m]": "may", ".secret.test": "encrypt",
		"[a], [b]": "none", "[n]:587 [e]:587 [m]": "none", "[d]": "half-dane",
	})
	for _, test := range []struct {
		nexthop string
		def     transport.TLSLevel
		want    string // level because of rule
	}{
		{"[e]:587, [n]:587", "", "encrypt because of [e]:587"},
		{"[N]:587,[E]:587", "", "encrypt because of [e]:587"},
		{"[m] [n]:587", "encrypt", "may because of [m]"},
		{"[n]:587, [other]", "", "may because of default"},
		{"[n]:587, [other]", "encrypt", "encrypt because of Planner.DefaultTLS"},
		{"[other], x.secret.test", "", "encrypt because of .secret.test"},
		{"[a], [b]", "encrypt", "none because of [a], [b]"},
		{"[n]:587 [e]:587 [m]", "", "encrypt because of [e]:587"},
		{"[other], [d]", "", `tls: TLS level "half-dane" is not known ([d])`},
		{"[e]:587,", "", "encrypt because of [e]:587"},
	} {
		p := &transport.Planner{TLS: table, DefaultTLS: test.def, SmartHost: test.nexthop}
		plan, err := p.Plan(t.Context(), transport.Query{Recipient: "u@a.test"})
		got := fmt.Sprintf("%s because of %s", plan.TLS, rules(plan)["tls"])
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%q: %s, want %s", test.nexthop, got, test.want)
		}
	}
}

func TestTheElementsOfAListShareACredentialOrThePlanFails(t *testing.T) {
	one, two := transport.Credential{User: "one", Password: "secret"}, transport.Credential{User: "two", Password: "secret"}
	table := map[string]transport.Credential{"[a]:587": one, "b": one, "[c]": two, "[a]:587, [c]": two}
	p := &transport.Planner{Credentials: transport.CredentialerFunc(
		func(_ context.Context, _ transport.Query, nexthop string) (transport.Credential, string, bool, error) {
			if nexthop == "[broken]" {
				return transport.Credential{}, "", false, errors.New("disk on fire")
			}
			for _, key := range transport.CredentialKeys("", nexthop) {
				if c, ok := table[key]; ok {
					return c, "for " + key, true, nil
				}
			}
			return transport.Credential{}, "", false, nil
		})}
	for nexthop, want := range map[string]string{
		"[a]:587, [b]:25":   "one:*** encrypt because of for [a]:587",
		"[a]:587 [b]":       "one:*** encrypt because of for [a]:587",
		"[a]:587,":          "one:*** encrypt because of for [a]:587",
		"[a]:587, [c]":      "two:*** encrypt because of for [a]:587, [c]",
		"[x], [y]":          " may because of default",
		"[b], [c]":          "credential: the next hops [b] and [c] stand in one list and have different credentials (for [c])",
		"[b], [x]":          "credential: the next hops [b] and [x] stand in one list and have different credentials (for b)",
		"[x], [b]":          "credential: the next hops [x] and [b] stand in one list and have different credentials (for b)",
		"[b], [b]:1, [c]":   "credential: the next hops [b] and [c] stand in one list and have different credentials (for [c])",
		"[broken], [other]": "credential: disk on fire",
	} {
		p.SmartHost = nexthop
		plan, err := p.Plan(t.Context(), transport.Query{Recipient: "u@a.test"})
		got := fmt.Sprintf("%s %s because of %s", plan.Credential, plan.TLS, rules(plan)["credential"])
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", nexthop, got, want)
		}
	}
}

func TestLabelIsSourceAndNextHopWhateverHappens(t *testing.T) {
	broken := transport.RouterFunc(func(context.Context, transport.Query) (transport.Route, string, bool, error) {
		return transport.Route{}, "", false, errors.New("disk on fire")
	})
	provider := func(string) string { return "provider" }
	for _, test := range []struct {
		planner         transport.Planner
		recipient, want string
	}{
		{transport.Planner{}, "u@A.test", "/a.test"},
		{transport.Planner{Sources: sourceIs(loopback7)}, "u@a.test", "127.0.0.7,,x.test/a.test"},
		{transport.Planner{SmartHost: "[Smart]:25"}, "u@a.test", "/[smart]:25"},
		{transport.Planner{Destination: provider}, "u@a.test", "/a.test"}, // what the resolver knows today is not filed
		{transport.Planner{Routes: routeIs("error:no")}, "u@a.test", "/error:"},
		{transport.Planner{Routes: routeIs("nowhere:")}, "u@a.test", "/a.test"},
		{transport.Planner{Routes: broken, Sources: sourceIs(loopback7)}, "u@a.test", "/a.test"},
		{transport.Planner{}, "postmaster", "/"},
		{transport.Planner{}, "@@", "/"},
	} {
		if got := test.planner.Label(t.Context(), transport.Query{Recipient: test.recipient}); got != test.want {
			t.Errorf("label %q, want %q", got, test.want)
		}
	}
}

func TestDomainsOfOneProviderShareALane(t *testing.T) {
	p := &transport.Planner{Sources: sourceIs(loopback7), Destination: func(nexthop string) string {
		if strings.HasSuffix(nexthop, ".customer.test") {
			return "provider.test"
		}
		return ""
	}}
	a, b, c := plan(t, p, "u@a.customer.test"), plan(t, p, "u@b.customer.test"), plan(t, p, "u@c.test")
	if a.Lane != b.Lane || a.Lane == c.Lane || c.Destination != "c.test" {
		t.Errorf("lanes %q, %q and %q", a.Lane, b.Lane, c.Lane)
	}
	p.SmartHost = "smart.customer.test"
	if d := plan(t, p, "u@c.test"); d.Destination != "smart.customer.test" {
		t.Errorf("a smart host counts as %q", d.Destination)
	}
}

func TestKeysOfSenderTablesAreThoseOfPostfix(t *testing.T) {
	for sender, want := range map[string][]string{
		"":               {"<>"},
		"U+x@A.Test":     {"u+x@a.test", "u@a.test", "@a.test"},
		"u@sub.a.test":   {"u@sub.a.test", "@sub.a.test"},
		"+x@a.test":      {"+x@a.test", "@a.test"},
		"bare":           nil,
		"U+x@Local.test": {"u+x@local.test", "u@local.test", "u+x", "u", "@local.test"},
	} {
		if diff := cmp.Diff(want, transport.SenderKeys(sender, "local.test")); diff != "" {
			t.Errorf("%q: %s", sender, diff)
		}
	}
}

func TestKeysOfCredentialAndTLSTablesAreThoseOfPostfix(t *testing.T) {
	for nexthop, want := range map[string][2][]string{
		"[Mail.test]:587": {{"mail.test", "[mail.test]:587"}, {"[mail.test]:587"}},
		"[mail.test]":     {{"mail.test", "[mail.test]"}, {"[mail.test]"}},
		"a.mail.test":     {{"a.mail.test"}, {"a.mail.test", ".mail.test", ".test"}},
		"mail.test:26":    {{"mail.test:26"}, {"mail.test:26"}},
		"a.test, [b]:25":  {{"a.test, [b]:25"}, {"a.test, [b]:25"}},
		"[fe80::1]:26":    {{"fe80::1", "[fe80::1]:26"}, {"[fe80::1]:26"}},
		"[open":           {{"[open"}, {"[open"}},
	} {
		got := [2][]string{transport.CredentialKeys("", nexthop), transport.TLSKeys(nexthop)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", nexthop, diff)
		}
	}
	want := []string{"u@a.test", "@a.test", "h", "[h]"}
	if diff := cmp.Diff(want, transport.CredentialKeys("u@a.test", "[h]")); diff != "" {
		t.Error(diff)
	}
}
