package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

func routingCommands() []command {
	return []command{
		{name: "route set", args: "PATTERN TRANSPORT:NEXTHOP", short: "add or change an entry of the transport map", run: routeSet},
		{name: "route list", short: "the transport map", run: routeList},
		{name: "route delete", args: "PATTERN", short: "delete an entry of the transport map", run: routeDelete},
		{name: "route lookup", args: "ADDRESS", short: "what the transport map says about an address", run: routeLookup},
		{name: "smarthost set", args: "default|SENDER|@DOMAIN|SITE NEXTHOP|DUNNO [USER]", short: "send through a smart host, or with DUNNO as everybody; with USER the password is read from standard input", run: smartHostSet, prepare: readSecretWithUser},
		{name: "smarthost unset", args: "default|SENDER|@DOMAIN|SITE", short: "stop sending through it", run: smartHostUnset},
		{name: "smarthost list", short: "the smart hosts", run: smartHostList},
	}
}

func routeSet(ctx context.Context, c *call) error {
	words, err := c.parse(2, -1, nil)
	if err != nil {
		return err
	}
	r := sites.Route{Pattern: words[0], Value: strings.Join(words[1:], " ")}
	if err := c.server.Sites().SetRoute(ctx, r); err != nil {
		return err
	}
	return c.print(r, "route %s -> %s\n", r.Pattern, r.Value)
}

func routeList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	all, err := c.server.Sites().ListRoutes(ctx)
	if err != nil {
		return err
	}
	return table(c, all, "no routes", "PATTERN\tROUTE", func(r sites.Route) []any { return []any{r.Pattern, r.Value} })
}

func routeDelete(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveRoute(ctx, words[0]); err != nil {
		return err
	}
	return c.print(sites.Route{Pattern: words[0]}, "route %s deleted\n", words[0])
}

func routeLookup(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	r, rule, ok, err := c.server.Sites().Route(ctx, transport.Query{Recipient: words[0]})
	if err != nil {
		return err
	}
	if !ok {
		fmt.Fprintf(c.stderr, "no route for %s: it goes to the smart host or the exchangers of its domain\n", words[0])
		return errNo
	}
	return c.print(map[string]string{"transport": r.Transport, "nexthop": r.Nexthop, "rule": rule}, "%v\t(%s)\n", r, rule)
}

// readSecretWithUser reads a password only if a user is named.
func readSecretWithUser(a *app, cmd command, args []string) ([]string, error) {
	if len(args) < 3 {
		a.stdin = nil
		return args, nil
	}
	return readSecret(a, cmd, args)
}

func smartHostSet(ctx context.Context, c *call) error {
	words, err := c.parse(2, 3, nil)
	if err != nil {
		return err
	}
	h := sites.SmartHost{Key: words[0], Nexthop: words[1]}
	if len(words) == 3 {
		h.Credential.User = words[2]
		if h.Credential.Password, err = c.password(); err != nil {
			return err
		}
	}
	if err := c.server.Sites().SetSmartHost(ctx, h); err != nil {
		return err
	}
	return c.print(h, "mail of %s goes through %s\n", h.Key, h.Nexthop)
}

func smartHostUnset(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveSmartHost(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"key": words[0]}, "smart host of %s unset\n", words[0])
}

func smartHostList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	all, err := c.server.Sites().ListSmartHosts(ctx)
	if err != nil {
		return err
	}
	if host := c.settings.Delivery.SmartHost; host != "" && !slices.ContainsFunc(all, func(h sites.SmartHost) bool { return h.Key == "default" }) {
		all = append(all, sites.SmartHost{Key: "default", Nexthop: host})
	}
	return table(c, all, "no smart hosts", "KEY\tNEXTHOP\tUSER", func(h sites.SmartHost) []any {
		return []any{h.Key, h.Nexthop, h.Credential.User}
	})
}
