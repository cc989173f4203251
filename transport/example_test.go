package transport_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/transport"
)

// A transport map decides where mail goes; the sender decides where it comes from.
func Example() {
	routes, err := transport.ParseMap("transport", strings.NewReader(`
# One attempt, then a bounce with the remote's own reason.
.ru          oneshot:
yahoo.test   relaylim:
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	planner := &transport.Planner{
		Routes: routes,
		Sources: transport.SourcerFunc(func(_ context.Context, q transport.Query) (transport.Source, string, bool, error) {
			return transport.Source{HELO: "out.shop.test"}, "sources: @shop.test", strings.HasSuffix(q.Sender, "@shop.test"), nil
		}),
		SmartHost: "[smart.test]:587",
	}
	for _, recipient := range []string{"u@yahoo.test", "u@other.test"} {
		plan, err := planner.Plan(context.Background(), transport.Query{Sender: "me@shop.test", Recipient: recipient})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(recipient, "by", plan.Transport, "to", plan.Nexthop, "as", plan.Source.HELO)
		for _, b := range plan.Because[:3] {
			fmt.Printf("  %s because of %s\n", b.Part, b.Rule)
		}
	}
	// Output:
	// u@yahoo.test by relaylim to yahoo.test as out.shop.test
	//   transport because of transport:4: yahoo.test
	//   nexthop because of transport:4: yahoo.test
	//   source because of sources: @shop.test
	// u@other.test by smtp to [smart.test]:587 as out.shop.test
	//   transport because of default
	//   nexthop because of Planner.SmartHost
	//   source because of sources: @shop.test
}
