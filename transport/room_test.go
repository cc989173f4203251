package transport_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/panelmail/panelmail/transport"
)

// TestALabelNeverSeenHasTheRoomOfItsDestination fills a destination under one
// label and asks for others.
func TestALabelNeverSeenHasTheRoomOfItsDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan struct{})
		x := &transport.Dispatcher{
			Planner: &transport.Planner{Limit: 3, Destination: func(nexthop string) string {
				if strings.HasSuffix(nexthop, ".customer.test") {
					return "provider"
				}
				return ""
			}},
			Transports: smtp(transport.Func(func(_ context.Context, d *transport.Delivery) transport.Report {
				<-proceed
				return d.All(delivered)
			})),
		}
		deliver := func(recipient, label string) {
			d := delivery(recipient)
			d.Label = label
			go x.Deliver(t.Context(), d)
			synctest.Wait()
		}
		deliver("u@one.customer.test", "/one.customer.test")
		deliver("u@one.customer.test", "/one.customer.test")
		deliver("u@else.test", "filed elsewhere")
		for _, c := range []struct {
			label string
			want  int
		}{
			{"/one.customer.test", 1},
			{"/two.customer.test", 1},
			{"192.0.2.1,,/two.customer.test", 3},
			{"/else.test", 2},
			{"/far.test", 3},
			{"no label of a planner's", 3},
		} {
			if room := x.Room(c.label).Free; room != c.want {
				t.Errorf("%s: room for %d, want %d", c.label, room, c.want)
			}
		}
		close(proceed)
		synctest.Wait()
	})
}
