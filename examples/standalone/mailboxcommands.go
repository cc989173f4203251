package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/mailcore/sites"
)

func mailboxCommands() []command {
	return []command{
		{name: "mailbox add", args: "ADDRESS --deliver maildir:PATH|lmtp:unix:PATH|lmtp:inet:HOST:PORT|smtp:[HOST]:PORT [--site S] [--max-size N] [--disabled]", short: "add or change a mailbox of a hosted domain; @DOMAIN takes all other mail of it", run: mailboxAdd},
		{name: "mailbox list", args: "[--site S]", short: "the mailboxes", run: mailboxList},
		{name: "mailbox remove", args: "ADDRESS", short: "remove a mailbox; what it holds stays where it is", run: mailboxRemove},
		{name: "domain recipient add", args: "ADDRESS …", short: "take mail of a relay domain for these and the others added, and for nobody else", run: recipientAdd},
		{name: "domain recipient list", args: "[--site S]", short: "the recipients of relay domains", run: recipientList},
		{name: "domain recipient remove", args: "ADDRESS", short: "take no more mail for an address of a relay domain", run: recipientRemove},
		{name: "domain recipient drop", args: "DOMAIN", short: "remove the list: take mail for every address of a relay domain again", run: recipientDrop},
	}
}

func mailboxAdd(ctx context.Context, c *call) error {
	var m sites.Mailbox
	var max size
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) {
		fs.StringVar(&m.Deliver, "deliver", "", "")
		fs.StringVar(&m.Site, "site", "", "")
		fs.TextVar(&max, "max-size", size(0), "")
		fs.BoolVar(&m.Disabled, "disabled", false, "")
	})
	if err != nil {
		return err
	}
	if m.Deliver == "" {
		return c.usage("--deliver is missing")
	}
	m.Address, m.MaxSize = words[0], int64(max)
	if err := c.server.Sites().SetMailbox(ctx, m); err != nil {
		return err
	}
	return c.print(m, "mailbox %s -> %s\n", m.Address, m.Deliver)
}

func mailboxList(ctx context.Context, c *call) error {
	var site string
	if _, err := c.parse(0, 0, func(fs *flag.FlagSet) { fs.StringVar(&site, "site", "", "") }); err != nil {
		return err
	}
	return lines(c, c.server.Sites().ListMailboxes(ctx, site), "no mailboxes", func(m sites.Mailbox) string {
		var b strings.Builder
		fmt.Fprintf(&b, "%s  %s", m.Address, m.Deliver)
		if m.MaxSize > 0 {
			fmt.Fprintf(&b, "  up to %v", size(m.MaxSize))
		}
		if m.Disabled {
			b.WriteString("  disabled")
		}
		return b.String()
	})
}

func mailboxRemove(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveMailbox(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"address": words[0]}, "mailbox %s removed\n", words[0])
}

func recipientAdd(ctx context.Context, c *call) error {
	words, err := c.parse(1, -1, nil)
	if err != nil {
		return err
	}
	list := make([]sites.Recipient, len(words))
	for i, word := range words {
		list[i].Address = word
	}
	if err := c.server.Sites().AddRecipients(ctx, list...); err != nil {
		return err
	}
	return c.print(map[string]int{"recipients": len(list)}, "%d %s added\n", len(list), plural(len(list), "recipient"))
}

func recipientList(ctx context.Context, c *call) error {
	var site string
	if _, err := c.parse(0, 0, func(fs *flag.FlagSet) { fs.StringVar(&site, "site", "", "") }); err != nil {
		return err
	}
	return lines(c, c.server.Sites().ListRecipients(ctx, site), "no recipients", func(r sites.Recipient) string { return r.Address })
}

func recipientRemove(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RemoveRecipient(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"address": words[0]}, "recipient %s removed\n", words[0])
}

func recipientDrop(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().DropRecipients(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]string{"domain": words[0]}, "every address of %s is taken\n", words[0])
}
