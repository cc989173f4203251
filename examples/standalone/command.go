package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/panelmail/panelmail/mailcore"
)

// A command is a row of the command table. Either run or here is set.
type command struct {
	name  string // one to three words
	args  string // for the usage line
	short string

	// run works on an open server: the one that serves, if there is one, else
	// one this process opens for the purpose.
	run func(ctx context.Context, c *call) error

	// postfix says that it is a program of Postfix's: the options are that
	// program's, so that -h is not for help, and so are errors and exit status.
	postfix bool

	// here runs in this process, without a server.
	here func(ctx context.Context, a *app, args []string) error

	// prepare, if set, runs in the process of the user's terminal before run
	// does, and may change the arguments or read standard input.
	prepare func(a *app, cmd command, args []string) ([]string, error)
}

// commands is the command table. It is a function, not a variable, because help
// is one of them.
func commands() []command {
	var all []command
	for _, group := range [][]command{
		serverCommands(), queueCommands(), ruleCommands(), trailCommands(), postfixCommands(), routingCommands(), senderRouteCommands(), importCommands(), transportCommands(), sourceCommands(), relayCommands(), probeCommands(), tlsCommands(), templateCommands(), dnsCommands(), siteCommands(), mailboxCommands(), aliasCommands(), loginCommands(), srsCommands(), dkimCommands(), configCommands(),
	} {
		all = append(all, group...)
	}
	return append(all, command{name: "help", args: "[COMMAND | json]", short: "this text", here: help})
}

// find returns the command that args begin with, and the rest of args.
func find(args []string) (command, []string, error) {
	if len(args) == 0 {
		return command{}, nil, usagef("a command is missing: see panelmail help")
	}
	for words := min(3, len(args)); words > 0; words-- {
		name := strings.Join(args[:words], " ")
		for _, c := range commands() {
			if c.name == name {
				return c, args[words:], nil
			}
		}
	}
	for words := min(2, len(args)); words > 0; words-- {
		name := strings.Join(args[:words], " ")
		var more []string
		for _, c := range commands() {
			if next, found := strings.CutPrefix(c.name, name+" "); found {
				more = append(more, next)
			}
		}
		if more != nil {
			return command{}, nil, usagef("%s what? %s", name, strings.Join(more, ", "))
		}
	}
	return command{}, nil, usagef("unknown command %q: see panelmail help", args[0])
}

// dispatch runs the command line.
func (a *app) dispatch(ctx context.Context, args []string) error {
	if len(args) == 1 && (args[0] == "-h" || args[0] == "--help") {
		args = []string{"help"}
	}
	cmd, rest, err := find(args)
	if n := len(args) - 1; err != nil && n > 0 && (args[n] == "-h" || args[n] == "--help") {
		return help(ctx, a, args[:n]) // of a group
	}
	if err != nil {
		return err
	}
	if cmd.name == "help" || cmd.name == "sendmail" {
		return cmd.here(ctx, a, rest)
	}
	if cmd.postfix {
		a.tool = cmd.name
	}
	if !cmd.postfix && slices.Contains(rest, "-h") || slices.Contains(rest, "--help") {
		return help(ctx, a, strings.Fields(cmd.name))
	}
	if err := a.load(); err != nil {
		if _, placed := errors.AsType[*fault](err); cmd.name != "config check" || !placed {
			return err
		}
		a.broken = err
	}
	if cmd.here != nil {
		return cmd.here(ctx, a, rest)
	}
	if cmd.prepare != nil {
		if rest, err = cmd.prepare(a, cmd, rest); err != nil {
			return err
		}
	}
	if done, err := a.remote(ctx, cmd, rest); done {
		return err
	}
	return a.inProcess(ctx, cmd, rest)
}

// inProcess opens the database and runs the command, while no server runs.
func (a *app) inProcess(ctx context.Context, cmd command, args []string) (err error) {
	config, err := a.library()
	if err != nil {
		return err
	}
	config.Maildrop = a.maildrop()
	config.Log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	srv, err := mailcore.Open(ctx, a.database(), config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	return (&call{
		server: srv, settings: a.settings, command: cmd, args: args,
		stdin: a.stdin, json: a.json, terminal: a.terminal(),
	}).carryOut(ctx, newOutput(a.stdout, a.stderr))
}

// terminal reports whether a person looks at standard error.
func (a *app) terminal() bool {
	f, ok := a.stderr.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// A call is one run of a command.
type call struct {
	server         *mailcore.Server
	settings       settings
	command        command
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	flush          func() error // has what is in stdout appear
	json           bool
	terminal       bool // stderr is one
	serving        bool // in the server's process
}

// carryOut runs the command.
func (c *call) carryOut(ctx context.Context, out output) error {
	c.stdout, c.stderr, c.flush = out, out.stderr(), out.Flush
	return cmp.Or(c.command.run(ctx, c), out.Flush())
}

// parse reads the flags that define declares, which may stand between the
// positional arguments, and returns those. It checks their number; most < 0 is
// any number.
func (c *call) parse(least, most int, define func(*flag.FlagSet)) ([]string, error) {
	fs := flag.NewFlagSet(c.command.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	if define != nil {
		define(fs)
	}
	var words []string
	for rest := c.args; ; {
		if err := fs.Parse(rest); err != nil {
			return nil, c.usage("%v", err)
		}
		if fs.NArg() == 0 {
			break
		}
		words, rest = append(words, fs.Arg(0)), fs.Args()[1:]
	}
	if err := noneEmpty(fs); err != nil {
		return nil, c.usage("%v", err)
	}
	if len(words) < least || most >= 0 && len(words) > most {
		return nil, c.usage("%d arguments", len(words))
	}
	return words, nil
}

// noneEmpty refuses a filter that is given and empty, as by a variable of a script
// that is not set: it would select more than was meant.
func noneEmpty(fs *flag.FlagSet) (err error) {
	fs.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "site", "sender", "recipient", "domain", "state", "via":
			if f.Value.String() == "" {
				err = fmt.Errorf("--%s is empty", f.Name)
			}
		}
	})
	return err
}

func (c *call) usage(format string, args ...any) error {
	return usagef("%s: usage: panelmail %s %s", fmt.Sprintf(format, args...), c.command.name, c.command.args)
}

// print writes one answer: an object with --json, else the text.
func (c *call) print(object any, format string, args ...any) error {
	if c.json {
		return c.object(object)
	}
	_, err := fmt.Fprintf(c.stdout, format, args...)
	return err
}

// object writes one JSON object on a line of its own.
func (c *call) object(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes rows as aligned columns, or as one object a line with --json.
// With neither rows nor --json it says so.
func table[T any](c *call, rows []T, none, header string, columns func(T) []any) error {
	if c.json {
		for _, row := range rows {
			if err := c.object(row); err != nil {
				return err
			}
		}
		return nil
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(c.stdout, none)
		return err
	}
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, row := range rows {
		for i, column := range columns(row) {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, column)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
