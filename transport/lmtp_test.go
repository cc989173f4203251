package transport_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
	"github.com/panelmail/panelmail/transport/transporttest"
)

// storeAnswers is the dialogue of a mail store that gives these replies to content.
func storeAnswers(offers string, replies ...string) func(string) string {
	return func(line string) string {
		switch {
		case strings.HasPrefix(line, "LHLO "):
			return "250-store.test\r\n" + offers + "250 PIPELINING"
		case line == ".":
			return strings.Join(replies, "\r\n")
		}
		return ""
	}
}

// storeAt runs a mail store behind a socket in a directory whose name is short enough
// for one, and returns the directory and the name.
func storeAt(t *testing.T, x *exchanger) (dir, name string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "lmtp")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "Store"))
	if err != nil {
		t.Fatal(err)
	}
	go x.serve(listener)
	t.Cleanup(func() {
		listener.Close()
		os.RemoveAll(dir)
	})
	return dir, "Store"
}

// lmtpMail is mail by lmtp to a next hop.
func lmtpMail(nexthop string, recipients ...string) *transport.Delivery {
	d := mail(recipients...)
	d.Plan = transport.Plan{
		Transport: "lmtp", Definition: transport.Definition{Name: "lmtp", Base: "lmtp"}, Nexthop: nexthop, TLS: transport.TLSMay,
	}
	return d
}

func TestAStoreAnswersForEachRecipientByItself(t *testing.T) {
	for name, tt := range map[string]struct {
		replies []string
		want    []string
	}{
		"each its own": {
			[]string{"250 2.0.0 saved", "452 4.2.2 quota exceeded", "550 5.7.1 sieve says no"},
			[]string{"delivered 250 2.0.0 saved by store.test", "deferred 452 4.2.2 quota exceeded by store.test", "failed 550 5.7.1 sieve says no by store.test"},
		},
		"then no more": {
			[]string{"250 2.0.0 saved", "close"},
			[]string{
				"delivered 250 2.0.0 saved by store.test",
				"deferred 451 4.4.2 lost connection with store.test[192.0.2.1] at end of data: closed by the other side, uncertain",
				"deferred 451 4.4.2 lost connection with store.test[192.0.2.1] at end of data: closed by the other side, uncertain",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.zone.addrs["store.test"] = []string{"192.0.2.1"}
			x := &exchanger{answer: storeAnswers("", tt.replies...)}
			if tt.replies[len(tt.replies)-1] == "close" {
				x.answer = storeAnswers("", tt.replies[0])
				x.closes = true
			}
			x = l.at(t, "192.0.2.1:24", x)
			lmtp := &transport.LMTP{Hostname: "us.test", Network: l.net, Resolver: l.zone}
			defer lmtp.Close()
			var got []string
			for _, o := range lmtp.Deliver(context.Background(), lmtpMail("inet:store.test", "a@x.test", "b@x.test", "c@x.test")) {
				got = append(got, short(o))
				if o.Delivered() != o.Mailbox {
					t.Errorf("final delivery: %v of %v", o.Mailbox, o.Reply)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if v := x.seen()[0]; v.Commands[0] != "LHLO us.test" || v.Contents[0] != message {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestASocketIsFoundBelowItsDirectoryAndNeedsNoTLS(t *testing.T) {
	x := &exchanger{answer: storeAnswers("250-STARTTLS\r\n250-AUTH PLAIN\r\n", "250 2.0.0 saved")}
	dir, name := storeAt(t, x)
	lmtp := &transport.LMTP{Hostname: "us.test", SocketDir: dir, Network: transport.NetworkFunc(
		func(context.Context, netip.Addr, netip.AddrPort) (net.Conn, error) { panic("dialled") })}
	defer lmtp.Close()
	planner := &transport.Planner{
		Routes: routeIs("lmtp:unix:" + name), Sources: sourceIs(loopback7), TLS: tlsIs(transport.TLSEncrypt),
		Credentials: credentialIs(transport.Credential{User: "u", Password: "canary"}), SmartHosts: smartHostIs("[smart.test]"),
	}
	for range 2 {
		d := mail("a@x.test")
		d.Envelope.RequireTLS = true
		d.Plan = plan(t, planner, "a@x.test")
		if o := lmtp.Deliver(t.Context(), d)[0]; short(o) != "delivered 250 2.0.0 saved by us.test" || o.Addr != dir+"/"+name {
			t.Errorf("%s at %s", short(o), o.Addr)
		}
	}
	d := lmtpMail("unix:"+name+", [store.test]", "a@x.test") // with a host in the list there are terms, for the host
	d.Plan.TLS, d.Plan.Credential = transport.TLSEncrypt, transport.Credential{User: "u", Password: "canary"}
	if got := short(lmtp.Deliver(t.Context(), d)[0]); got != "delivered 250 2.0.0 saved by us.test" {
		t.Error(got)
	}
	visits := x.seen()
	if len(visits) != 2 || visits[0].TLS || strings.Contains(fmt.Sprint(visits), "AUTH") {
		t.Errorf("%+v", visits)
	}
}

func TestASocketThatIsNotThereIsTroubleOfOursAndOfItsLane(t *testing.T) {
	lmtp := &transport.LMTP{Hostname: "us.test", SocketDir: t.TempDir()}
	defer lmtp.Close()
	d := lmtpMail("unix:none", "a@x.test")
	d.Plan.TLS = transport.TLSNone
	want := "deferred 451 4.4.1 connect to us.test[" + lmtp.SocketDir + "/none]: no such file or directory, local, destination"
	if got := short(lmtp.Deliver(t.Context(), d)[0]); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestNextHopsOfStoresAreThoseOfPostfix(t *testing.T) {
	l := newLab(t)
	l.zone.addrs["store.test"] = []string{"192.0.2.1"}
	x24, x2400 := &exchanger{answer: storeAnswers("", "250 ok")}, &exchanger{answer: storeAnswers("", "250 ok")}
	l.at(t, "192.0.2.1:24", x24)
	l.at(t, "192.0.2.1:2400", x2400)
	dir, name := storeAt(t, &exchanger{answer: storeAnswers("", "250 ok")})
	lmtp := &transport.LMTP{Hostname: "us.test", Network: l.net, Resolver: l.zone}
	defer lmtp.Close()
	const wrong = "deferred 451 4.3.5 "
	for nexthop, want := range map[string]string{
		"unix:" + dir + "/" + name:    dir + "/" + name,
		"store.test":                  "192.0.2.1:24",
		"[store.test]":                "192.0.2.1:24",
		"inet:store.test":             "192.0.2.1:24",
		"inet:store.test:2400":        "192.0.2.1:2400",
		"inet:[192.0.2.1]:2400":       "192.0.2.1:2400",
		"192.0.2.1:24":                "192.0.2.1:24",
		"unix:/none, [store.test]:24": "192.0.2.1:24",
		"unix:" + name:                wrong + `next hop "unix:Store": no directory is configured for sockets, local`,
		"unix:../x":                   wrong + `next hop "unix:../x": neither an absolute path nor one below the directory of sockets, local`,
		"store.test:25":               wrong + `next hop "store.test:25": LMTP is not for port 25 (RFC 2033 section 5), local`,
		"[store.test":                 wrong + `next hop "[store.test": misplaced bracket, local`,
	} {
		o := lmtp.Deliver(t.Context(), lmtpMail(nexthop, "a@x.test"))[0]
		got := o.Addr
		if !o.Delivered() {
			got = short(o)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", nexthop, got, want)
		}
		err := transport.Builtin()["lmtp"].CheckNexthop(nexthop)
		if (err != nil) != (strings.HasPrefix(want, wrong) && nexthop != "unix:"+name) {
			t.Errorf("%s: checked as %v", nexthop, err)
		}
	}
	d := lmtpMail("x.test", "a@x.test")
	d.Plan.Direct = true
	if got, want := short(lmtp.Deliver(t.Context(), d)[0]), wrong+"the route to a mail store names none, local"; got != want {
		t.Errorf("without a next hop: %s", got)
	}
}

func TestAPlanForAStoreHasALaneOfItsOwnAndNoSmartHost(t *testing.T) {
	planner := &transport.Planner{
		SmartHosts:  smartHostIs("[smart.test]"),
		Destination: func(string) string { return "shared" },
	}
	for value, want := range map[string]string{
		"lmtp:unix:/run/Store":    "unix:/run/Store /lmtp:unix:/run/Store none",
		"lmtp:[store.test]:24":    "[store.test]:24 /lmtp:[store.test]:24 may",
		"lmtp:":                   "x.test /lmtp:x.test may",
		"maildir:shop/bob":        "shop/bob /maildir: none",
		"maildir:/var/mail/Bob/":  "/var/mail/Bob/ /maildir: none",
		"smtp:[store.test]:24":    "[store.test]:24 /shared may",
		"lmtp:unix:a, unix:b":     "unix:a, unix:b /lmtp:unix:a, unix:b none",
		"lmtp:unix:a, store.test": "unix:a, store.test /lmtp:unix:a, store.test may",
	} {
		planner.Routes, planner.Default = routeIs(value), transport.Route{}
		p := plan(t, planner, "a@x.test")
		if got := fmt.Sprintf("%s %s %s", p.Nexthop, p.Lane, p.TLS); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
		planner.Routes = nil
		planner.Default, _ = transport.ParseRoute(value)
		if p := plan(t, planner, "a@x.test"); p.SmartHost && planner.Default.Transport != "smtp" {
			t.Errorf("%s by default: %+v", value, p)
		}
	}
}

func TestLMTPKeepsTheContractOfATransport(t *testing.T) {
	dir, name := storeAt(t, &exchanger{each: true, closes: true, answer: storeAnswers("", "250 2.0.0 saved")})
	lmtp := &transport.LMTP{Hostname: "us.test", SocketDir: dir}
	defer lmtp.Close()
	err := transporttest.Test(lmtp, func(d *transport.Delivery) {
		d.Plan = transport.Plan{
			Transport: "lmtp", Definition: transport.Definition{Base: "lmtp"}, Nexthop: "unix:" + name, TLS: transport.TLSNone,
		}
	})
	if err != nil {
		t.Error(err)
	}
}
