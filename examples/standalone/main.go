// Panelmail is the example server: the whole of package mailcore behind one
// binary and a command line. It uses public packages only, so it shows that they
// are enough.
//
// Run "panelmail serve" for a server without any configuration, and
// "panelmail help" for the commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/panelmail/panelmail/queue"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal does not wait
	os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// run is the program: argument vector in, exit status out.
func run(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
	args := argv[1:]
	switch name := filepath.Base(argv[0]); name {
	case "sendmail", "mailq", "postqueue", "postsuper", "postcat", "newaliases":
		args = append([]string{name}, args...)
	}
	a := &app{stdin: stdin, stdout: reader{stdout}, stderr: stderr, data: dataDirectory()}
	args, err := a.globalFlags(args)
	if err == nil {
		if len(args) > 0 && args[0] == "sendmail" {
			return a.sendmail(ctx, args[1:])
		}
		err = a.dispatch(ctx, args)
	}
	return a.exit(err)
}

// app is one run of the program.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	tool           string // the program of Postfix's that is played; "": none
	data           string // the data directory
	config         string // the configuration file, if it was named
	json           bool
	text           string // of the configuration file
	broken         error  // what is wrong with it, for config check
	settings       settings
	reloaded       atomic.Pointer[settings] // that came after them, while the server runs
}

// inForce are the settings that hold now. It may be called from many goroutines.
func (a *app) inForce() settings {
	if s := a.reloaded.Load(); s != nil {
		return *s
	}
	return a.settings
}

func dataDirectory() string {
	if dir := os.Getenv("PANELMAIL_DATA"); dir != "" {
		return dir
	}
	return "panelmail-data"
}

// globalFlags takes the flags that every command has out of args, wherever they
// stand. The sendmail command keeps all of its arguments.
func (a *app) globalFlags(args []string) (rest []string, err error) {
	value := func(i *int, name string) (string, error) {
		if _, v, found := strings.Cut(args[*i], "="); found {
			return v, nil
		}
		if *i++; *i >= len(args) {
			return "", usagef("%s needs a value", name)
		}
		return args[*i], nil
	}
	for i := 0; i < len(args); i++ {
		name, _, _ := strings.Cut(args[i], "=")
		switch {
		case len(rest) > 0 && rest[0] == "sendmail", args[i] == "--":
			return append(rest, args[i:]...), nil
		case name == "--data" || name == "-data":
			a.data, err = value(&i, name)
		case name == "--config" || name == "-config":
			a.config, err = value(&i, name)
		case name == "--json" || name == "-json":
			a.json = true
		case name == "--no-color":
			// There is no colour yet to take away.
		default:
			rest = append(rest, args[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// errNo is the answer no: exit status 1, after what was printed.
var errNo = errors.New("no")

// usageError is a command line that makes no sense: exit status 2.
type usageError struct{ text string }

// Error implements error.
func (u usageError) Error() string { return u.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// exit tells what went wrong, and turns it into the exit status.
func (a *app) exit(err error) int {
	var usage usageError
	var remote remoteExit
	var fatal fatalError
	switch {
	case err == nil, errors.Is(err, errGone):
		return 0
	case errors.Is(err, context.Canceled):
		return 130 // as a shell has it for what was interrupted
	case errors.Is(err, errNo):
		return 1
	case errors.As(err, &remote):
		return int(remote)
	case errors.Is(err, queue.ErrLocked):
		err = errors.New("another program is writing to the database and does not come to an end: try again later")
	}
	if status, ok := toolStatus[a.tool]; ok {
		if errors.As(err, &fatal) {
			status = fatal.status
		}
		fmt.Fprintf(a.stderr, "%s: fatal: %s\n", a.tool, printable(err.Error()))
		return status
	}
	fmt.Fprintf(a.stderr, "panelmail: %v\n", err)
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}
