package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/panelmail/panelmail/queue"
)

// changeQueue is a command that changes all messages it selects.
func changeQueue(done string, change func(*queue.Queue, context.Context, queue.Match) (int, error)) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		f, err := c.filter(false, nil)
		if err != nil {
			return err
		}
		return c.change(ctx, f, done, func(ctx context.Context, m queue.Match) (int, error) {
			return change(c.server.Queue(), ctx, m)
		})
	}
}

// change does it, or with --dry-run counts, and prints how many.
func (c *call) change(ctx context.Context, f filter, done string, do func(context.Context, queue.Match) (int, error)) error {
	f.match.DryRun = f.dryRun
	if f.dryRun {
		done = "selected"
	}
	end, err := c.progress(ctx, &f.match, done, do)
	if err != nil {
		return err
	}
	n, err := do(ctx, f.match)
	end()
	if err != nil {
		if n > 0 {
			fmt.Fprintf(c.stderr, "not finished: %d %s %s, or being so\n", n, plural(n, "message"), done)
		}
		return err
	}
	if err := c.print(map[string]any{"messages": n, "dry_run": f.dryRun}, "%d %s %s\n", n, plural(n, "message"), done); err != nil {
		return err
	}
	if n == 0 {
		return errNo
	}
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

func failQueue(ctx context.Context, c *call) error {
	text := "the operator gave the message up"
	f, err := c.filter(false, func(fs *flag.FlagSet) { fs.StringVar(&text, "reason", text, "") })
	if err != nil {
		return err
	}
	return c.change(ctx, f, "bounced", func(ctx context.Context, m queue.Match) (int, error) {
		return c.server.Queue().Fail(ctx, m, text)
	})
}

func deleteQueue(ctx context.Context, c *call) error {
	f, yes, err := c.deletion()
	if err != nil {
		return err
	}
	if f.match.All && !yes && !f.dryRun {
		return usagef("queue delete --all deletes every message: say --yes")
	}
	return c.change(ctx, f, "deleted", c.server.Queue().Remove)
}

// deletion reads the arguments of queue delete.
func (c *call) deletion() (f filter, yes bool, err error) {
	f, err = c.filter(false, func(fs *flag.FlagSet) { fs.BoolVar(&yes, "yes", false, "") })
	return f, yes, err
}

// confirmDelete asks on a terminal before everything is deleted.
func confirmDelete(a *app, cmd command, args []string) ([]string, error) {
	in, ok := a.stdin.(*os.File)
	a.stdin = nil
	f, yes, err := (&call{command: cmd, args: args}).deletion()
	if err != nil || !f.match.All || yes || f.dryRun || !ok || !term.IsTerminal(int(in.Fd())) {
		return args, err
	}
	fmt.Fprint(a.stderr, "Delete every message that is selected? Type yes: ")
	var answer string
	if _, err := fmt.Fscanln(in, &answer); err != nil || answer != "yes" {
		return nil, errNo
	}
	return append(args, "--yes"), nil
}
