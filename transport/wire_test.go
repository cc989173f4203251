package transport_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

var plans = flag.Int("plans", 10_000, "how many random plans are compared with the wire; a tenth with -short")

// A wire is what a host sees of a plan.
type wire struct {
	From, HELO string
	TLS        bool
	Login      string
}

// promised is what a plan, as JSON, promises that the host will see which offers
// TLS or does not.
func promised(t *testing.T, plan []byte, offersTLS bool) wire {
	t.Helper()
	var p struct {
		Source          struct{ IPv4 string }
		HELO            string
		TLS, Credential string
	}
	if err := json.Unmarshal(plan, &p); err != nil {
		t.Fatal(err)
	}
	if p.Source.IPv4 == "" {
		p.Source.IPv4 = "127.0.0.1"
	}
	login, _, _ := strings.Cut(p.Credential, ":")
	return wire{p.Source.IPv4, p.HELO, p.TLS != "none" && offersTLS, login}
}

// visited is what a host saw.
func visited(v visit) wire {
	w := wire{From: v.From.String(), TLS: v.TLS}
	for _, line := range v.Commands {
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "EHLO":
			w.HELO = rest
		case "AUTH":
			said, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			w.Login = strings.Split(string(said), "\x00")[1]
		}
	}
	return w
}

// randomPlanner is a planner with random tables; the host of its next hop offers TLS
// or does not.
func randomPlanner(r *rand.Rand, next string, offersTLS bool) *transport.Planner {
	p := &transport.Planner{Hostname: "us.test"}
	source := transport.Source{Prefer: []transport.Family{"", "ipv4", "ipv4-only"}[r.IntN(3)]}
	if r.IntN(3) > 0 {
		source.IPv4 = netip.AddrFrom4([4]byte{127, 1, byte(r.IntN(4)), byte(1 + r.IntN(200))})
	}
	if r.IntN(2) > 0 {
		source.HELO = fmt.Sprintf("helo%d.test", r.IntN(100))
	}
	if r.IntN(5) > 0 {
		p.Sources = sourceIs(source)
	}
	switch r.IntN(4) {
	case 0:
		p.SmartHost = next
	case 1:
		p.Routes = routeIs("relaylim:" + next)
	case 2:
		p.Routes, p.SmartHost = routeIs(":"+next), "[192.0.2.99]"
	default:
		p.Defaults, p.SmartHost = routeIs("oneshot:"), next
	}
	levels := []transport.TLSLevel{transport.TLSNone, transport.TLSMay}
	if offersTLS {
		levels = append(levels, transport.TLSEncrypt)
		if r.IntN(2) > 0 {
			p.Credentials = credentialIs(transport.Credential{User: fmt.Sprintf("acct%d", r.IntN(100)), Password: "canary"})
		}
	}
	if r.IntN(2) > 0 {
		p.TLS = tlsIs(levels[r.IntN(len(levels))])
	} else {
		p.DefaultTLS = levels[r.IntN(len(levels))]
	}
	return p
}

// deliverAtRandom delivers by n random plans, each as spoil makes of it, if that is
// not nil. It returns what the plans promised and what the hosts saw, by recipient.
func deliverAtRandom(t *testing.T, n int, spoil func(*transport.Plan)) (want, got map[string]wire) {
	t.Helper()
	l := newLab(t)
	l.net.AddLocal(netip.MustParseAddr("127.0.0.1"))
	for i := range 4 {
		for j := range 201 {
			l.net.AddLocal(netip.AddrFrom4([4]byte{127, 1, byte(i), byte(j)}))
		}
	}
	clear := l.at(t, "192.0.2.1", &exchanger{})
	secure := l.at(t, "192.0.2.2", &exchanger{offers: []string{"STARTTLS", "AUTH PLAIN"}, tls: serverTLS(t)})
	deliver := transport.Func(func(ctx context.Context, d *transport.Delivery) transport.Report {
		if spoil != nil {
			spoil(&d.Plan)
		}
		return l.SMTP.Deliver(ctx, d)
	})
	r := rand.New(rand.NewPCG(1, 2))
	want, got = map[string]wire{}, map[string]wire{}
	for i := range n {
		next, offersTLS := "[192.0.2.1]", i%20 == 0 // a handshake takes longer than all the rest
		if offersTLS {
			next = "[192.0.2.2]"
		}
		planner := randomPlanner(r, next, offersTLS)
		d := mail(fmt.Sprintf("u%d@x.test", i))
		plan, err := planner.Plan(t.Context(), transport.QueryFor(d.ID, &d.Envelope, &d.Envelope.Recipients[0], d.Origin))
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(plan)
		if err != nil {
			t.Fatal(err)
		}
		want[d.Envelope.Recipients[0].Address] = promised(t, text, offersTLS)
		x := transport.Dispatcher{Planner: planner, Transports: map[string]transport.Transport{"smtp": deliver}}
		if o := x.Deliver(context.Background(), d); !o[0].Delivered() {
			t.Fatalf("%s: %+v", text, o[0])
		}
	}
	for _, v := range append(clear.seen(), secure.seen()...) {
		w := visited(v)
		for _, line := range v.Commands {
			if to, ok := strings.CutPrefix(line, "RCPT TO:<"); ok {
				got[to[:strings.IndexByte(to, '>')]] = w
			}
		}
	}
	return want, got
}

func TestTheWireIsAsPlanned(t *testing.T) {
	n := *plans
	if testing.Short() {
		n /= 10
	}
	want, got := deliverAtRandom(t, n, nil)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestADefectBetweenPlanAndWireIsSeen(t *testing.T) {
	for name, spoil := range map[string]func(*transport.Plan){
		"the source is lost":     func(p *transport.Plan) { p.Source.IPv4 = netip.Addr{} },
		"the HELO name is lost":  func(p *transport.Plan) { p.Source.HELO, p.HELO = "", "us.test" },
		"TLS is lost":            func(p *transport.Plan) { p.TLS, p.Credential = transport.TLSNone, transport.Credential{} },
		"the credential is lost": func(p *transport.Plan) { p.Credential = transport.Credential{} },
		"another's is used": func(p *transport.Plan) {
			if p.Credential.User != "" {
				p.Credential.User = "other"
			}
		},
	} {
		if want, got := deliverAtRandom(t, 200, spoil); cmp.Equal(want, got) {
			t.Errorf("%s, and nobody notices", name)
		}
	}
}
