package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/user"
	"slices"
	"time"

	"golang.org/x/term"

	"github.com/panelmail/panelmail/mailcore/sites"
)

func siteSuspend(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().Suspend(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]any{"name": words[0], "suspended": true}, "site %s suspended: its mail is on hold\n", words[0])
}

func siteResume(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().Resume(ctx, words[0]); err != nil {
		return err
	}
	return c.print(map[string]any{"name": words[0], "suspended": false}, "site %s resumed\n", words[0])
}

func siteRename(ctx context.Context, c *call) error {
	words, err := c.parse(2, 2, nil)
	if err != nil {
		return err
	}
	if err := c.server.Sites().RenameSite(ctx, words[0], words[1]); err != nil {
		return err
	}
	return c.print(map[string]any{"name": words[1], "previous": words[0]}, "site %s is now %s\n", words[0], words[1])
}

// A removal is the arguments of site remove.
type removal struct {
	site, by    string
	yes, dryRun bool
}

func (c *call) removal() (r removal, err error) {
	words, err := c.parse(1, 1, func(fs *flag.FlagSet) {
		fs.BoolVar(&r.yes, "yes", false, "")
		fs.BoolVar(&r.dryRun, "dry-run", false, "")
		fs.StringVar(&r.by, "by", "", "")
	})
	if err == nil {
		r.site = words[0]
	}
	return r, err
}

// confirmRemove asks on a terminal before a site is removed, and says who it is.
func confirmRemove(a *app, cmd command, args []string) ([]string, error) {
	in, ok := a.stdin.(*os.File)
	a.stdin = nil
	r, err := (&call{command: cmd, args: args}).removal()
	if err != nil || r.dryRun {
		return args, err
	}
	if r.by == "" {
		args = append(args, "--by="+whoami())
	}
	if r.yes || !ok || !term.IsTerminal(int(in.Fd())) {
		return args, nil
	}
	fmt.Fprintf(a.stderr, "Remove site %s with all of its settings and mail? Type its name: ", r.site)
	var answer string
	if _, err := fmt.Fscanln(in, &answer); err != nil || answer != r.site {
		return nil, errNo
	}
	return args, nil
}

// whoami is who runs this process, as far as the system tells.
func whoami() string {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); err == nil {
		name = cmp.Or(name, u.Username)
	}
	return printable(name)
}

func siteRemove(ctx context.Context, c *call) error {
	r, err := c.removal()
	if err != nil {
		return err
	}
	if r.dryRun {
		count, err := c.server.Sites().CountSite(ctx, r.site)
		if err != nil {
			return err
		}
		return c.receipt(count, fmt.Sprintf("site %s would be removed", r.site))
	}
	receipt, err := c.server.RemoveSite(ctx, r.site, r.by)
	if receipt.Time.IsZero() {
		return err
	}
	return cmp.Or(c.receipt(receipt, fmt.Sprintf("site %s removed", r.site)), err)
}

func siteReceipts(ctx context.Context, c *call) error {
	words, err := c.parse(0, 1, nil)
	if err != nil {
		return err
	}
	all, err := c.server.Sites().Receipts(ctx, append(words, "")[0])
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := c.receipt(r, fmt.Sprintf("site %s removed", r.Site)); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		return errNo
	}
	return nil
}

// A receiptLine is a receipt for --json.
type receiptLine struct {
	Site   string         `json:"site"`
	By     string         `json:"by,omitempty"`
	Time   int64          `json:"time,omitempty"`
	Rows   map[string]int `json:"rows"`
	Oldest int64          `json:"oldest,omitempty"`
	Newest int64          `json:"newest,omitempty"`
}

func receiptOf(r sites.Receipt) receiptLine {
	seconds := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.Unix()
	}
	return receiptLine{Site: r.Site, By: r.By, Time: seconds(r.Time), Rows: r.Rows, Oldest: seconds(r.Oldest), Newest: seconds(r.Newest)}
}

// receipt prints a receipt, under a title where there is no --json.
func (c *call) receipt(r sites.Receipt, title string) error {
	if c.json {
		return c.object(receiptOf(r))
	}
	if !r.Time.IsZero() {
		title += " at " + r.Time.Format(time.RFC3339)
	}
	if r.By != "" {
		title += " by " + r.By
	}
	fmt.Fprintln(c.stdout, title)
	for _, kind := range slices.Sorted(maps.Keys(r.Rows)) {
		fmt.Fprintf(c.stdout, "  %-16s %d\n", kind, r.Rows[kind])
	}
	if !r.Oldest.IsZero() {
		fmt.Fprintf(c.stdout, "  mail from %s to %s\n", r.Oldest.Format(time.RFC3339), r.Newest.Format(time.RFC3339))
	}
	return nil
}
