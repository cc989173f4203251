package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

// A vector is one answer of Postfix's resolver.
type vector struct {
	Config, Sender, Input string
	Transport, Nexthop    string
	Rcpt                  string
	Flags                 string
}

func (v vector) String() string { return v.Config + ": " + v.Input }

// Address classes, as the vectors flag them.
const (
	classDefault = "default"
	classRelay   = "relay"
	classLocal   = "local"
	classVirtual = "virtual"
	classAlias   = "alias"
)

const (
	tableOnly = "transport table, no relayhost"
	wildcard  = "wildcard"
)

func vectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/transport.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 103 {
		t.Fatalf("%d vectors, want 103", len(all))
	}
	return all
}

// wildcardMap is the transport map of the configurations named wildcard.
const wildcardMap = `
*          smtp:wild.hop
ok.test    :
.ok.test   :
`

func mapOf(t *testing.T, config string) *transport.Table {
	t.Helper()
	var text string
	switch config {
	case wildcard:
		text = wildcardMap
	case "wildcard '* smtp:' with relayhost":
		text = "* smtp:"
	case parentDomain:
		text = "example.test a:\n.dot.test b:\n"
	default:
		b, err := os.ReadFile("testdata/transport.map")
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	table, err := transport.ParseMap("transport", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// differences are the vectors, by their String, that we answer otherwise than
// Postfix, each with the reason.
var differences = map[string]string{
	tableOnly + ": u": "Postfix completes a bare local-part with its own domain; here the desk completes addresses " +
		"before they are stored, and a planner that sees one defers it",
	tableOnly + ": a@b@other.test": "Postfix unfolds sender-routed forms and marks them as routed; a second unquoted @ is a syntax error here, " +
		"since no good mail has one and relays were abused by it",
	parentDomain + ": u@sub.example.test": noParentDomain,
	parentDomain + ": u@a.b.example.test": noParentDomain,
	parentDomain + ": u@x.dot.test":       noParentDomain,
}

const (
	parentDomain   = "transport_maps in parent_domain_matches_subdomains"
	noParentDomain = "listing transport_maps in parent_domain_matches_subdomains turns the meaning of keys round, and is off in Postfix " +
		"unless asked for; a table here has one meaning"
)

// Rows that the transport map alone decides, asked of the table alone.
func TestTableAnswersAsPostfixDoes(t *testing.T) {
	asked, differ := 0, 0
	for _, v := range vectors(t) {
		if v.Config != tableOnly && v.Config != wildcard || v.Flags != classDefault {
			continue
		}
		asked++
		got, ok := mapOf(t, v.Config).Lookup(v.Input)
		if !ok {
			got = transport.Route{}
		}
		if got.Transport == "" {
			got.Transport = "smtp"
		}
		if got.Nexthop == "" {
			_, got.Nexthop, _ = strings.Cut(strings.TrimSuffix(strings.ToLower(v.Input), "."), "@")
		}
		want := transport.Route{Transport: v.Transport, Nexthop: v.Nexthop}
		if diff := cmp.Diff(want, got); diff != "" {
			differ++
			if differences[v.String()] == "" {
				t.Errorf("%s (-Postfix +ours):\n%s", v, diff)
			}
		}
	}
	if asked != 22 {
		t.Errorf("%d rows asked, want 22", asked)
	}
	if differ > 5 {
		t.Errorf("%d rows differ, want at most 5", differ)
	}
}

// Every row, asked of a planner put together as the row's configuration says.
// What Postfix knows as address classes is a choice of defaults here.
func TestPlannerComposesAsPostfixDoes(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Flags == classAlias {
			continue // virtual aliases are expanded at the desk, before there is a plan
		}
		plan, err := plannerFor(t, v).Plan(context.Background(), transport.Query{Sender: v.Sender, Recipient: v.Input})
		var diff string
		if strings.HasPrefix(v.Flags, "error") {
			reply, ok := errors.AsType[transport.Reply](err)
			if !ok || reply.Status() != "5.1.3" {
				diff = fmt.Sprintf("error %v, want status 5.1.3", err)
			}
		} else {
			diff = cmp.Diff(v.Transport+" "+v.Nexthop, plan.Transport+" "+plan.Nexthop)
		}
		_, expected := differences[v.String()]
		if expected && diff == "" {
			t.Errorf("%s: listed as different, but is not", v)
		}
		if !expected && diff != "" {
			t.Errorf("%s (-Postfix +ours): %v\n%s", v, err, diff)
		}
	}
	if len(differences) > 5 {
		t.Errorf("%d rows differ, want at most 5", len(differences))
	}
}

// plannerFor is the configuration of a vector.
func plannerFor(t *testing.T, v vector) *transport.Planner {
	t.Helper()
	p := &transport.Planner{Transports: transport.Builtin(), Routes: mapOf(t, v.Config)}
	for _, name := range []string{
		"a", "b", "c", "d", "e", "local", "virtual", "mydom-out", "vip-out", "nullsender-out",
		"plain-domain-key", "dotted-key", "local-domain", "bare-local",
	} {
		p.Transports[name] = transport.Definition{Name: name, Base: "smtp"}
	}
	named := func(what string) bool { return strings.Contains(v.Config, what) }
	if named("relayhost") && v.Config != tableOnly {
		p.SmartHost = "[smart.host]:587"
	}
	if named("all three") {
		p.SmartHosts = transport.SmartHosterFunc(func(_ context.Context, q transport.Query) (string, string, bool, error) {
			r, rule, ok := bySender(senderRelayhost, q.Sender)
			return r, rule, ok, nil
		})
	}
	switch v.Flags {
	case classLocal:
		p.Default, p.SmartHosts, p.SmartHost = transport.Route{Transport: "discard", Nexthop: "local"}, nil, ""
	case classVirtual:
		p.Default, p.SmartHosts, p.SmartHost = transport.Route{Transport: "virtual"}, nil, ""
	case classRelay:
		p.Default = transport.Route{Transport: "relay"}
		if named("relay_transport=") {
			p.Default.Nexthop = "[relayt.hop]"
		}
	default:
		if named("default_transport=smtp:[deft.hop]:26") {
			p.Default = transport.Route{Transport: "smtp", Nexthop: "[deft.hop]:26"}
		}
		if named("sender_dependent_default_transport_maps") || named("all three") {
			p.Defaults = transport.RouterFunc(bySenderTransport)
		}
	}
	return p
}

var senderTransport = map[string]string{
	"@mydom.test":    "mydom-out:",
	"vip@mydom.test": "vip-out:[vip.hop]",
	"dun@mydom.test": "DUNNO",
	"<>":             "nullsender-out:",
	"sub.test":       "plain-domain-key:",
	".sub.test":      "dotted-key:",
	"@mx.panel.test": "local-domain:",
	"localuser":      "bare-local:",
}

var senderRelayhost = map[string]string{
	"@mydom.test":    "[sdr.mydom]:587",
	"vip@mydom.test": "DUNNO",
	"<>":             "[sdr.null]",
}

func bySender(table map[string]string, sender string) (value, rule string, ok bool) {
	for _, key := range transport.SenderKeys(sender) {
		if value, ok := table[key]; ok {
			return value, key, value != "DUNNO"
		}
	}
	return "", "", false
}

func bySenderTransport(_ context.Context, q transport.Query) (transport.Route, string, bool, error) {
	value, rule, ok := bySender(senderTransport, q.Sender)
	if !ok {
		return transport.Route{}, "", false, nil
	}
	r, err := transport.ParseRoute(value)
	return r, rule, true, err
}
