package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
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
		{name: "route import", args: "FILE", short: "add the entries of a transport(5) file, all or none", run: routeImport, prepare: readRouteFile},
		{name: "route lookup", args: "ADDRESS", short: "what the transport map says about an address", run: routeLookup},
		{name: "explain", args: "SENDER RECIPIENT [--site S]", short: "the plan with the rule behind each part; nothing is connected to", run: explain},
		{name: "source set", args: "SENDER|@DOMAIN|SITE IP[,IP6] [--helo NAME]", short: "where the mail of a sender leaves from", run: sourceSet},
		{name: "source list", short: "the sources", run: sourceList},
		{name: "source delete", args: "SENDER|@DOMAIN|SITE", short: "delete a source", run: sourceDelete},
		{name: "smarthost set", args: "default|SENDER|@DOMAIN|SITE NEXTHOP [USER]", short: "send through a smart host; with USER the password is read from standard input", run: smartHostSet, prepare: readSecretWithUser},
		{name: "smarthost unset", args: "default|SENDER|@DOMAIN|SITE", short: "stop sending through it", run: smartHostUnset},
		{name: "smarthost list", short: "the smart hosts", run: smartHostList},
		{name: "relay set", args: "NEXTHOP|SENDER|@DOMAIN USER", short: "set a credential; the password is read from standard input", run: relaySet, prepare: readSecret},
		{name: "relay list", short: "the credentials, without passwords", run: relayList},
		{name: "relay delete", args: "NEXTHOP|SENDER|@DOMAIN", short: "delete a credential", run: relayDelete},
		{name: "tls set", args: "DOMAIN|NEXTHOP LEVEL", short: "set a TLS policy: none, may or encrypt", run: tlsSet},
		{name: "tls list", short: "the TLS policies", run: tlsList},
		{name: "tls delete", args: "DOMAIN|NEXTHOP", short: "delete a TLS policy", run: tlsDelete},
	}
}

func routeSet(ctx context.Context, c *call) error {
	words, err := c.parse(2, -1, nil)
	if err != nil {
		return err
	}
	r := sites.Route{Pattern: words[0], Value: strings.Join(words[1:], " ")}
	one := maps.All(map[string]string{r.Pattern: r.Value})
	if parsed, err := transport.NewTable("route set", one); err != nil {
		return err
	} else if err := parsed.Check(transport.Builtin()); err != nil {
		return err
	}
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

// readRouteFile reads the file where the user is, for the server may be
// elsewhere.
func readRouteFile(a *app, _ command, args []string) ([]string, error) {
	if len(args) != 1 || args[0] == "-" {
		return args, nil
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return nil, err
	}
	a.stdin = bytes.NewReader(text)
	return args, nil
}

func routeImport(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	parsed, err := transport.ParseMap(words[0], c.stdin)
	if err != nil {
		return err
	}
	if err := parsed.Check(transport.Builtin()); err != nil {
		return err
	}
	for _, warning := range parsed.Warnings() {
		fmt.Fprintln(c.stderr, "warning:", warning)
	}
	var rows []sites.Route
	for pattern, value := range parsed.All() {
		rows = append(rows, sites.Route{Pattern: pattern, Value: value})
	}
	if err := c.server.Sites().SetRoutes(ctx, rows); err != nil {
		return err
	}
	return c.print(map[string]int{"routes": len(rows)}, "%d %s imported\n", len(rows), plural(len(rows), "route"))
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

func explain(ctx context.Context, c *call) error {
	var site string
	words, err := c.parse(2, 2, func(fs *flag.FlagSet) { fs.StringVar(&site, "site", "", "") })
	if err != nil {
		return err
	}
	sender := words[0]
	if sender == "<>" {
		sender = ""
	}
	plan, err := c.server.Explain(ctx, site, sender, words[1])
	if err != nil {
		return err
	}
	if c.json {
		return c.object(plan)
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	var parts map[string]any
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s -> %s\n", words[0], words[1])
	rules := map[string]string{}
	for _, b := range plan.Because {
		rules[b.Part] = b.Rule
	}
	parts["helo"] = plan.Source.HELO
	if plan.Attempts == 0 {
		parts["attempts"] = "no limit"
	}
	if plan.Limit == 0 {
		parts["limit"] = "no limit"
	} else if plan.Initial < plan.Limit {
		parts["limit"] = fmt.Sprintf("%d, at first %d", plan.Limit, plan.Initial)
	}
	for _, part := range []string{"transport", "nexthop", "source", "helo", "tls", "credential", "attempts", "limit", "lane"} {
		value, ok := parts[part]
		if !ok && rules[part] == "" {
			continue
		}
		fmt.Fprintf(c.stdout, "  %-11s %-40s %s\n", part, plain(value), rules[part])
	}
	return nil
}

// plain is a value of the plan for people.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return cmp.Or(v, "-")
	case map[string]any:
		var parts []string
		for _, key := range []string{"name", "ipv4", "ipv6"} {
			if v[key] != nil {
				parts = append(parts, fmt.Sprint(v[key]))
			}
		}
		return cmp.Or(strings.Join(parts, " "), "-")
	}
	return fmt.Sprint(v)
}

func sourceSet(ctx context.Context, c *call) error {
	var helo string
	words, err := c.parse(2, 2, func(fs *flag.FlagSet) { fs.StringVar(&helo, "helo", "", "") })
	if err != nil {
		return err
	}
	src := sites.Source{Key: words[0], HELO: helo}
	for text := range strings.SplitSeq(words[1], ",") {
		ip, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			return c.usage("%v", err)
		case ip.Is4() && !src.IPv4.IsValid():
			src.IPv4 = ip
		case ip.Is6() && !src.IPv6.IsValid():
			src.IPv6 = ip
		default:
			return c.usage("two addresses of one family: %s", words[1])
		}
	}
	if err := c.server.Sites().SetSource(ctx, src); err != nil {
		return err
	}
	return c.print(src, "mail of %s leaves from %s\n", src.Key, words[1])
}

func sourceList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	all, err := c.server.Sites().ListSources(ctx)
	if err != nil {
		return err
	}
	return table(c, all, "no sources", "KEY\tIPV4\tIPV6\tHELO", func(s sites.Source) []any {
		return []any{s.Key, ipOrDash(s.IPv4), ipOrDash(s.IPv6), s.HELO}
	})
}

func ipOrDash(ip netip.Addr) string {
	if !ip.IsValid() {
		return "-"
	}
	return ip.String()
}

func sourceDelete(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveSource(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"key": words[0]}, "source of %s deleted\n", words[0])
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

func relaySet(ctx context.Context, c *call) error {
	words, err := c.parse(2, 2, nil)
	if err != nil {
		return err
	}
	password, err := c.password()
	if err != nil {
		return err
	}
	row := sites.Credential{Key: words[0], Credential: transport.Credential{User: words[1], Password: password}}
	if err := c.server.Sites().SetCredential(ctx, row); err != nil {
		return err
	}
	return c.print(row, "credential of %s set\n", row.Key)
}

func relayList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	all, err := c.server.Sites().ListCredentials(ctx)
	if err != nil {
		return err
	}
	return table(c, all, "no credentials", "KEY\tUSER", func(r sites.Credential) []any { return []any{r.Key, r.Credential.User} })
}

func relayDelete(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveCredential(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"key": words[0]}, "credential of %s deleted\n", words[0])
}

func tlsSet(ctx context.Context, c *call) error {
	words, err := c.parse(2, 2, nil)
	if err != nil {
		return err
	}
	p := sites.TLSPolicy{Key: words[0], Level: transport.TLSLevel(words[1])}
	if err := c.server.Sites().SetTLSPolicy(ctx, p); err != nil {
		return err
	}
	return c.print(p, "TLS to %s: %s\n", p.Key, p.Level)
}

func tlsList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	all, err := c.server.Sites().ListTLSPolicies(ctx)
	if err != nil {
		return err
	}
	return table(c, all, "no TLS policies", "KEY\tLEVEL", func(p sites.TLSPolicy) []any { return []any{p.Key, p.Level} })
}

func tlsDelete(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveTLSPolicy(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"key": words[0]}, "TLS policy of %s deleted\n", words[0])
}
