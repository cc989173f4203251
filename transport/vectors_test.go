package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/address"
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
	tableOnly    = "transport table, no relayhost"
	wildcard     = "wildcard"
	parentDomain = "transport_maps in parent_domain_matches_subdomains"
)

// vectors are the answers in all files of vectors there are.
func vectors(t *testing.T) []vector {
	t.Helper()
	names, err := filepath.Glob("testdata/transport*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	var all []vector
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var some []vector
		if err := json.Unmarshal(text, &some); err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	if len(all) < 103 {
		t.Fatalf("%d vectors, want 103 at least", len(all))
	}
	return all
}

// hostname is the name of the host that the vectors come from, and its one local
// domain.
const hostname = "mx.panel.test"

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
	if err == nil && config == parentDomain {
		table, err = table.MatchSubdomains()
	}
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// A difference is a line of the table in the documentation of this package, and
// the vectors that it makes us answer otherwise than Postfix.
type difference struct {
	line    string
	demands func(v vector) bool
}

// maxDifferences is how many vectors may differ.
const maxDifferences = 8

var differences = []difference{
	{"An address is one of RFC 5321, with one @ outside quotes and no route in it.", func(v vector) bool {
		_, err := address.Parse(v.Input)
		unfolded := strings.ContainsAny(v.Input, "%!") && !strings.EqualFold(v.Rcpt, v.Input)
		return unfolded || err != nil && !errors.Is(err, address.ErrDomain) && strings.Contains(v.Input, "@")
	}},
	{"A domain that ends in a number is a syntax error; in Postfix if all of it is numbers.", func(v vector) bool {
		_, err := address.Parse(v.Input)
		return errors.Is(err, address.ErrDomain) && !strings.HasPrefix(v.Flags, "error")
	}},
	{"Quotes count only where a local-part needs them, and a domain is the same in", func(v vector) bool {
		a, err := address.Parse(v.Input)
		return err == nil && strings.HasPrefix(v.Input, `"`) && a.Fold().String() != strings.ToLower(v.Input)
	}},
	{"A local-part may begin with a hyphen; Postfix takes that for a syntax error.", func(v vector) bool {
		return strings.HasPrefix(v.Input, "-")
	}},
	{"A domain that became the next hop is written in lower-case A-labels; Postfix", func(v vector) bool {
		a, err := address.Parse(v.Input)
		return err == nil && a.Domain == v.Nexthop && a.Fold().Domain != v.Nexthop
	}},
	{`discard: without a text has the text "discarded"; in Postfix the recipient domain.`, func(v vector) bool {
		return v.Transport == "discard" && strings.HasSuffix(v.Input, "@"+v.Nexthop)
	}},
}

// demanded returns the line that demands a difference; "" if there is none.
func demanded(v vector) string {
	for _, d := range differences {
		if d.demands(v) {
			return d.line
		}
	}
	return ""
}

func TestEveryDifferenceFromPostfixIsALineOfTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "# How our transport map differs from Postfix")
	for _, d := range differences {
		if !strings.Contains(section, "//   - "+d.line+"\n") {
			t.Errorf("no such line in doc.go: %s", d.line)
		}
	}
}

// Rows that the transport map alone decides, asked of the table alone.
func TestTableAnswersAsPostfixDoes(t *testing.T) {
	asked := 0
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
		if diff := cmp.Diff(want, got); diff != "" && demanded(v) == "" {
			t.Errorf("%s (-Postfix +ours):\n%s", v, diff)
		}
	}
	if asked < 22 {
		t.Errorf("%d rows asked, want 22 at least", asked)
	}
}

// Every row, asked of a planner put together as the row's configuration says.
// What Postfix knows as address classes is a choice of defaults here.
func TestPlannerComposesAsPostfixDoes(t *testing.T) {
	differ := 0
	for _, v := range vectors(t) {
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
		if diff == "" {
			continue
		}
		differ++
		if line := demanded(v); line != "" {
			t.Logf("%s differs: %s", v, line)
			continue
		}
		t.Errorf("%s (-Postfix +ours): %v\n%s", v, err, diff)
	}
	if differ > maxDifferences {
		t.Errorf("%d rows differ, want at most %d", differ, maxDifferences)
	}
}

// plannerFor is the configuration of a vector.
func plannerFor(t *testing.T, v vector) *transport.Planner {
	t.Helper()
	p := &transport.Planner{Hostname: hostname, Transports: transport.Builtin(), Routes: mapOf(t, v.Config)}
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
	if named(wildcard) && p.SmartHost != "" {
		p.SmartHost = "[smart.host]"
	}
	if named("all three") {
		p.SmartHosts = transport.SmartHosterFunc(func(_ context.Context, q transport.Query) (string, string, bool, error) {
			r, rule, ok := bySender(senderRelayhost, q.Sender)
			return r, rule, ok, nil
		})
	}
	switch class := v.Flags[strings.LastIndexByte(v.Flags, ',')+1:]; class {
	case classAlias: // the transport map is not asked
		p.Routes, p.Default = nil, transport.Route{Transport: "error", Nexthop: "5.1.1 User unknown in virtual alias table"}
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
	for _, key := range transport.SenderKeys(sender, hostname) {
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
