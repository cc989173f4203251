package main

import (
	"context"
	"flag"

	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

func relayCommands() []command {
	return []command{
		{name: "relay set", args: "NEXTHOP|HOST|SENDER|@DOMAIN USER [--xoauth2]", short: "set a credential; the password, or an access token, is read from standard input", run: relaySet, prepare: readSecret},
		{name: "relay list", short: "the credentials, without passwords", run: relayList},
		{name: "relay delete", args: "NEXTHOP|HOST|SENDER|@DOMAIN", short: "delete a credential", run: relayDelete},
	}
}

func relaySet(ctx context.Context, c *call) error {
	var oauth bool
	words, err := c.parse(2, 2, func(fs *flag.FlagSet) { fs.BoolVar(&oauth, "xoauth2", false, "") })
	if err != nil {
		return err
	}
	password, err := c.password()
	if err != nil {
		return err
	}
	row := sites.Credential{Key: words[0], Credential: transport.Credential{User: words[1], Password: password, OAuth: oauth}}
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
