package transport_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/transport"
)

const taken = "delivered 250 2.0.0 taken by mx.x.test"

func TestAConnectionIsKeptForTheNextMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		x := l.at(t, "192.0.2.1", &exchanger{offers: pipelining})
		for range 3 {
			if diff := cmp.Diff([]string{taken}, l.deliver(mail("b@x.test"))); diff != "" {
				t.Error(diff)
			}
			time.Sleep(4 * time.Second)
		}
		if n := len(x.seen()); n != 1 {
			t.Errorf("%d connections", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := x.seen()[0].Commands; got[len(got)-1] != "QUIT" {
			t.Errorf("idle for six seconds, and not ended: %q", got)
		}
		l.deliver(mail("b@x.test"))
		if n := len(x.seen()); n != 2 {
			t.Errorf("%d connections", n)
		}
		l.Close()
	})
}

func TestAConnectionIsSharedByEqualsOnly(t *testing.T) {
	l := newLab(t)
	x := l.at(t, "192.0.2.1", &exchanger{offers: []string{"STARTTLS", "AUTH PLAIN"}, tls: serverTLS(t)})
	base := func() *transport.Delivery { return mail("b@x.test") }
	changes := []func(*transport.Delivery){
		func(d *transport.Delivery) {},
		func(d *transport.Delivery) { d.Plan.TLS = transport.TLSNone },
		func(d *transport.Delivery) { d.Plan.TLS = transport.TLSEncrypt },
		func(d *transport.Delivery) { d.Plan.Source.HELO = "other.test" },
		func(d *transport.Delivery) { d.Plan.Credential = transport.Credential{User: "a", Password: "b"} },
		func(d *transport.Delivery) { d.Plan.Credential = transport.Credential{User: "a", Password: "c"} },
		func(d *transport.Delivery) { d.Plan.Nexthop = "[192.0.2.1]" },
	}
	for range 3 {
		for _, change := range changes {
			d := base()
			change(d)
			if got := l.deliver(d)[0]; !strings.HasPrefix(got, "delivered") {
				t.Error(got)
			}
		}
	}
	if len(x.seen()) != len(changes) {
		t.Errorf("%d connections for %d kinds of mail", len(x.seen()), len(changes))
	}
}

func TestAConnectionIsKeptWhereThePreferenceAllows(t *testing.T) {
	l := newLab(t)
	l.zone.mx["x.test"] = []transport.MX{{Preference: 10, Host: "mx.x.test"}, {Preference: 10, Host: "b.test"}, {Preference: 10, Host: "c.test"}}
	l.zone.addrs["b.test"], l.zone.addrs["c.test"] = []string{"192.0.2.2"}, []string{"192.0.2.3"}
	var hosts []*exchanger
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		hosts = append(hosts, l.at(t, a, &exchanger{}))
	}
	for range 20 {
		l.deliver(mail("b@x.test"))
	}
	visits := 0
	for _, x := range hosts {
		visits += len(x.seen())
	}
	if visits != 1 {
		t.Errorf("%d connections", visits)
	}
}

func TestAConnectionIsNotUsedForEver(t *testing.T) {
	l := newLab(t)
	x := l.at(t, "192.0.2.1", &exchanger{offers: pipelining})
	for range 250 {
		l.deliver(mail("b@x.test"))
	}
	var uses []int
	for _, v := range x.seen() {
		uses = append(uses, len(v.Contents))
	}
	if diff := cmp.Diff([]int{100, 100, 50}, uses); diff != "" {
		t.Error(diff)
	}
}

func TestADeadConnectionIsReplacedWithoutANoteOfIt(t *testing.T) {
	for name, reply := range map[string]string{"closed": "close", "421": "421 4.4.2 idle too long"} {
		for _, offers := range [][]string{nil, pipelining} {
			t.Run(name, func(t *testing.T) {
				l := newLab(t)
				var mails atomic.Int32
				x := l.at(t, "192.0.2.1", &exchanger{offers: offers, answer: func(line string) string {
					if strings.HasPrefix(line, "MAIL") && mails.Add(1) == 2 {
						return reply
					}
					return ""
				}})
				for range 2 {
					if diff := cmp.Diff([]string{taken}, l.deliver(mail("b@x.test"))); diff != "" {
						t.Error(diff)
					}
				}
				if n := len(x.seen()); n != 2 {
					t.Errorf("%d connections", n)
				}
			})
		}
	}
}

func TestAConnectionThatDiesLaterIsNoDeadConnection(t *testing.T) {
	l := newLab(t)
	l.at(t, "192.0.2.1", &exchanger{answer: on("RCPT", "close")})
	l.deliver(mail("b@x.test"))
	want := "deferred 451 4.4.2 lost connection with mx.x.test[192.0.2.1] at RCPT TO: closed by the other side"
	if diff := cmp.Diff([]string{want}, l.deliver(mail("b@x.test"))); diff != "" {
		t.Error(diff)
	}
}

func TestWhatWentInClearForOneMessageDoesNotForTheNext(t *testing.T) {
	l := newLab(t)
	x := l.at(t, "192.0.2.1", &exchanger{offers: []string{"STARTTLS"}, garbled: true})
	second := mail("b@x.test")
	second.Attempt = 2
	if diff := cmp.Diff([]string{taken}, l.deliver(second)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{noShake}, l.deliver(mail("b@x.test"))); diff != "" {
		t.Error(diff)
	}
	if n := len(x.seen()); n != 3 {
		t.Errorf("%d connections", n)
	}
}

func TestARefusedTransactionIsResetInTheNext(t *testing.T) {
	l := newLab(t)
	x := l.at(t, "192.0.2.1", &exchanger{offers: pipelining, answer: on("RCPT TO:<no@", "550 no")})
	l.deliver(mail("no@x.test"))
	l.deliver(mail("b@x.test"))
	commands := strings.Join(x.seen()[0].Commands, "\n")
	if len(x.seen()) != 1 || strings.Count(commands, "MAIL") != 2 || len(x.seen()[0].Contents) != 2 {
		t.Errorf("%d connections: %s", len(x.seen()), commands)
	}
}

func TestCloseEndsWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
		l := newLab(t)
		x := l.at(t, "192.0.2.1", &exchanger{})
		l.deliver(mail("b@x.test"))
		l.Close()
		synctest.Wait()
		if got := x.seen()[0].Commands; got[len(got)-1] != "QUIT" {
			t.Errorf("%q", got)
		}
		begun := time.Now()
		l.deliver(mail("b@x.test"))
		synctest.Wait()
		if got := x.seen()[1].Commands; got[len(got)-1] != "QUIT" || time.Since(begun) > 0 {
			t.Errorf("kept after Close: %q", got)
		}
	})
}

func TestACancelledDeliveryKeepsNoConnection(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithCancel(context.Background())
	l.at(t, "192.0.2.1", &exchanger{answer: func(line string) string {
		if line == "." {
			cancel()
		}
		return ""
	}})
	l.Deliver(ctx, mail("b@x.test"))
	x := l.deliver(mail("b@x.test"))
	if diff := cmp.Diff([]string{taken}, x); diff != "" {
		t.Error(diff)
	}
}
