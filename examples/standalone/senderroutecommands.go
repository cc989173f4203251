package main

import (
	"context"
	"strings"

	"github.com/panelmail/panelmail/mailcore/sites"
)

func senderRouteCommands() []command {
	return []command{
		{name: "route sender set", args: "default|SENDER|@DOMAIN|SITE TRANSPORT:[NEXTHOP]|DUNNO", short: "by which transport the mail of a sender goes where no route says", run: senderRouteSet},
		{name: "route sender list", short: "the transports by sender", run: senderRouteList},
		{name: "route sender delete", args: "default|SENDER|@DOMAIN|SITE", short: "delete a transport by sender", run: senderRouteDelete},
	}
}

func senderRouteSet(ctx context.Context, c *call) error {
	words, err := c.parse(2, -1, nil)
	if err != nil {
		return err
	}
	r := sites.SenderRoute{Key: words[0], Value: strings.Join(words[1:], " ")}
	if err := c.server.Sites().SetSenderRoute(ctx, r); err != nil {
		return err
	}
	return c.print(r, "mail of %s -> %s\n", r.Key, r.Value)
}

func senderRouteList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	all, err := c.server.Sites().ListSenderRoutes(ctx)
	if err != nil {
		return err
	}
	return table(c, all, "no transports by sender", "KEY\tROUTE", func(r sites.SenderRoute) []any { return []any{r.Key, r.Value} })
}

func senderRouteDelete(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveSenderRoute(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"key": words[0]}, "transport for %s deleted\n", words[0])
}
