package main

import (
	"cmp"
	"context"
	"flag"
	"net/netip"
	"strings"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

const sourceArgs = "SENDER|@DOMAIN|login:LOGIN|SITE|default IP[,IP6] [--helo NAME] [--prefer ipv4|ipv6|ipv4-only|ipv6-only] [--site S]"

func sourceCommands() []command {
	return []command{
		{name: "explain", args: "SENDER RECIPIENT [--site S] [--login L] [--id ID] [--dns]", short: "the plan with the rule behind each part, and with --dns the addresses; nothing is connected to", run: explain},
		{name: "source set", args: sourceArgs, short: "where the mail of a sender leaves from", run: sourceSet},
		{name: "source add", args: sourceArgs + " [--weight N]", short: "one more source of a sender: each message leaves from one of them", run: sourceAdd},
		{name: "source list", short: "the sources", run: sourceList},
		{name: "source delete", args: "SENDER|@DOMAIN|login:LOGIN|SITE|default [IP[,IP6]]", short: "delete the sources of a sender, or one of them", run: sourceDelete},
	}
}

func sourceSet(ctx context.Context, c *call) error {
	return putSource(c, "mail of %s leaves from %s\n", func(src sites.Source) error {
		return c.server.Sites().SetSource(ctx, src)
	})
}

func sourceAdd(ctx context.Context, c *call) error {
	return putSource(c, "mail of %s leaves from %s too\n", func(src sites.Source) error {
		return c.server.Sites().AddSource(ctx, src)
	})
}

func putSource(c *call, done string, put func(sites.Source) error) error {
	var src sites.Source
	words, err := c.parse(2, 2, func(fs *flag.FlagSet) {
		fs.StringVar(&src.HELO, "helo", "", "")
		fs.StringVar((*string)(&src.Prefer), "prefer", "", "")
		fs.StringVar(&src.Site, "site", "", "")
		fs.IntVar(&src.Weight, "weight", 0, "")
	})
	if err != nil {
		return err
	}
	src.Key = words[0]
	if src.Prefer == "any" {
		src.Prefer = transport.AnyFamily
	}
	if src.IPv4, src.IPv6, err = parsePair(c, words[1]); err != nil {
		return err
	}
	if err := put(src); err != nil {
		return err
	}
	return c.print(src, done, src.Key, words[1])
}

// parsePair reads an address of each family, or of one.
func parsePair(c *call, pair string) (v4, v6 netip.Addr, err error) {
	for text := range strings.SplitSeq(pair, ",") {
		ip, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			return v4, v6, c.usage("%v", err)
		case ip.Is4() && !v4.IsValid():
			v4 = ip
		case ip.Is6() && !v6.IsValid():
			v6 = ip
		default:
			return v4, v6, c.usage("two addresses of one family: %s", pair)
		}
	}
	return v4, v6, nil
}

func sourceList(ctx context.Context, c *call) error {
	if _, err := c.parse(0, 0, nil); err != nil {
		return err
	}
	all, err := c.server.Sites().ListSources(ctx)
	if err != nil {
		return err
	}
	return table(c, all, "no sources", "KEY\tIPV4\tIPV6\tHELO\tPREFER\tWEIGHT", func(s sites.Source) []any {
		return []any{s.Key, ipOrDash(s.IPv4), ipOrDash(s.IPv6), cmp.Or(s.HELO, "-"), cmp.Or(s.Prefer, "-"), cmp.Or(s.Weight, 1)}
	})
}

func ipOrDash(ip netip.Addr) string {
	if !ip.IsValid() {
		return "-"
	}
	return ip.String()
}

func sourceDelete(ctx context.Context, c *call) error {
	words, err := c.parse(1, 2, nil)
	if err != nil {
		return err
	}
	if len(words) == 1 {
		if err := c.server.Sites().RemoveSource(ctx, words[0]); err != nil {
			return err
		}
		return c.print(map[string]string{"key": words[0]}, "source of %s deleted\n", words[0])
	}
	v4, v6, err := parsePair(c, words[1])
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveSourceAddrs(ctx, words[0], v4, v6); err != nil {
		return err
	}
	return c.print(sites.Source{Key: words[0], IPv4: v4, IPv6: v6}, "source %s of %s deleted\n", words[1], words[0])
}
