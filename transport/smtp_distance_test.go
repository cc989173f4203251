package transport_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/memnet"
	"github.com/panelmail/panelmail/transport"
)

const halfway = 25 * time.Millisecond

// distant is a network on which everything arrives half a round trip later, however
// much of it there is.
func distant(network transport.Network) transport.Network {
	return transport.NetworkFunc(func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
		far, err := network.Dial(ctx, local, remote)
		if err != nil {
			return nil, err
		}
		here, near := memnet.Pipe(netip.AddrPort{}, netip.AddrPort{})
		go carry(near, far)
		go carry(far, near)
		return here, nil
	})
}

func carry(from, to net.Conn) {
	type parcel struct {
		octets []byte
		due    time.Time
	}
	parcels := make(chan parcel, 1000)
	go func() {
		defer to.Close()
		for p := range parcels {
			time.Sleep(time.Until(p.due))
			to.Write(p.octets)
		}
	}()
	defer close(parcels)
	for {
		octets := make([]byte, 4096)
		n, err := from.Read(octets)
		if err != nil {
			return
		}
		parcels <- parcel{octets[:n], time.Now().Add(halfway)}
	}
}

// TestSMTPAMessageTakesTwoRoundTrips over a connection that is kept, to a host that
// pipelines, for however many recipients; without pipelining each has its own.
func TestSMTPAMessageTakesTwoRoundTrips(t *testing.T) {
	for _, test := range []struct {
		offers  []string
		answer  func(string) string
		to      int
		content int // octets beside the usual
		want    int
	}{
		{pipelining, nil, 1, 0, 2},
		{pipelining, nil, 2, 0, 2},
		{pipelining, nil, 50, 0, 2},
		{pipelining, nil, 1, 100_000, 2},
		{pipelining, on("RCPT TO:<r1@", "550 no"), 3, 0, 2},
		{pipelining, refusesAll, 3, 0, 1},
		{nil, nil, 1, 0, 4},
		{nil, nil, 50, 0, 53},
	} {
		t.Run(fmt.Sprintf("%v, %d recipients, %d octets, answers %v", test.offers, test.to, test.content, test.answer != nil), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t)
				l.Network = distant(l.net)
				x := l.at(t, "192.0.2.1", &exchanger{offers: test.offers, answer: test.answer})
				var to []string
				for i := range test.to {
					to = append(to, fmt.Sprintf("r%d@x.test", i))
				}
				d := mail(to...)
				d.Size = 0
				d.Open = func(context.Context) (io.ReadCloser, error) { return contentOf(test.content), nil }
				l.Deliver(context.Background(), d)
				begun := time.Now()
				const messages = 5
				for range messages {
					l.Deliver(context.Background(), d)
				}
				took := time.Since(begun)
				if diff := cmp.Diff(time.Duration(test.want)*2*halfway, took/messages); diff != "" {
					t.Error(diff)
				}
				if n := len(x.seen()); n != 1 {
					t.Errorf("%d connections", n)
				}
				l.Close()
				time.Sleep(time.Second) // what is under way arrives
			})
		})
	}
}

func refusesAll(line string) string {
	switch line[:4] {
	case "RCPT":
		return "450 4.2.0 later"
	case "DATA":
		return "554 5.5.1 no valid recipients"
	}
	return ""
}

func contentOf(octets int) io.ReadCloser {
	open := contentIs(message + fmt.Sprintf("%0*d\r\n", octets, 0))
	content, _ := open(context.Background())
	return content
}
