package sendmail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// A run is one run of the command.
type run struct {
	env            Env
	place          place
	origin         string // the domain for addresses without one
	stdin          io.Reader
	stdout, stderr io.Writer
}

// Main runs the command with the arguments behind the program's name and returns
// its exit status. With status 0 the message is on disk. Main reads stdin up to
// the end of the message. With -bs it may leave a goroutine behind that reads
// stdin until its end: it is for programs that exit with the status.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env Env) int {
	r := &run{env: env.withDefaults(), stdin: stdin, stdout: stdout, stderr: stderr}
	c, err := parse(args)
	if err != nil {
		return r.report(failf(ExitUsage, "%v", err))
	}
	switch c.mode {
	case modeMessage:
		return r.report(r.message(ctx, c))
	case modeSMTP:
		return r.report(r.smtp(ctx))
	case modeList:
		return r.hook(ctx, "list the queue", r.env.List, c)
	case modeVerify:
		return r.hook(ctx, "explain addresses", r.env.Verify, c)
	case modeFlush:
		return r.hook(ctx, "flush the queue", r.env.Flush, c)
	case modeAliases:
		return ExitOK // aliases are looked up where they are kept
	}
	return r.report(failf(ExitUsage, "the server is not started by this command"))
}

// report writes the failures to standard error and chooses among their statuses:
// "try again" if there is one, else the first.
func (r *run) report(err error) int {
	status := ExitOK
	for _, f := range failures(err) {
		fmt.Fprintf(r.stderr, "sendmail: %s\n", strings.ReplaceAll(f.text, "\n", " "))
		if status == ExitOK || f.status == ExitTempFail {
			status = f.status
		}
	}
	return status
}

// failures takes joined errors apart.
func failures(err error) []*failure {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*failure
		for _, e := range joined.Unwrap() {
			all = append(all, failures(e)...)
		}
		return all
	}
	if f := (*failure)(nil); errors.As(err, &f) {
		return []*failure{f}
	}
	return []*failure{{ExitSoftware, err.Error()}}
}

func (r *run) hook(ctx context.Context, what string, h Hook, c command) int {
	if h == nil {
		return r.report(failf(ExitUsage, "this command cannot %s", what))
	}
	return h(ctx, c.operands, r.stdout, r.stderr)
}

// message takes one message from standard input.
func (r *run) message(ctx context.Context, c command) error {
	if err := r.locate(); err != nil {
		return err
	}
	m := message{notify: c.notify, ret: c.ret, envID: c.envID}
	defer m.spool.close()
	user, err := r.env.User(r.env.Getuid())
	if err != nil || user.Name == "" {
		user.Name = "uid" + strconv.Itoa(r.env.Getuid())
	}
	if m.from, err = r.sender(c, user); err != nil {
		return err
	}
	if c.fullName == "" && !hasControls(user.FullName) {
		c.fullName = user.FullName
	}
	for _, operand := range c.operands {
		if err := controls(operand); err != nil {
			return failf(ExitData, "recipient %q: %v", operand, err)
		}
		if err := m.addRecipients("recipient", operand, r.origin); err != nil {
			return err
		}
	}
	if len(m.to) == 0 && !c.fromHeader {
		return failf(ExitUsage, "no recipient is given")
	}
	if err := m.read(c, r.origin, r.stdin); err != nil {
		return err
	}
	if len(m.to) == 0 {
		return failf(ExitData, "no recipient in the header")
	}
	return r.submit(ctx, &m)
}

// locate finds the server and the name of the host.
func (r *run) locate() (err error) {
	if r.place, err = r.env.find(); err != nil {
		return failf(ExitConfig, "%v", err)
	}
	r.origin = r.place.origin
	if r.origin == "" {
		if r.origin, err = r.env.Hostname(); err != nil {
			return failf(ExitTempFail, "the host has no name: %v", err)
		}
	}
	if _, err := address.Parse("postmaster@" + r.origin); err != nil {
		return failf(ExitConfig, "%q is no domain: %v", r.origin, err)
	}
	return nil
}

// sender is the reverse-path: the value of -f, or the user at this host.
func (r *run) sender(c command, user User) (string, error) {
	if !c.hasFrom {
		from, err := check(address.Address{Local: user.Name, Domain: r.origin}.String())
		if err != nil {
			return "", failf(ExitConfig, "user %q: %v", user.Name, err)
		}
		return from, nil
	}
	value := strings.TrimSpace(c.from)
	if value == "" || value == "<>" {
		return "", nil
	}
	from, err := r.oneAddress(c.from)
	if err != nil {
		return "", failf(ExitUsage, "option -f: %q: %v", c.from, err)
	}
	return from, nil
}

func (r *run) oneAddress(value string) (string, error) {
	if err := controls(value); err != nil {
		return "", err
	}
	specs, err := parseList(value)
	if err != nil {
		return "", err
	}
	if len(specs) != 1 {
		return "", fmt.Errorf("%d addresses", len(specs))
	}
	return complete(specs[0], r.origin)
}

func controls(s string) error {
	if hasControls(s) {
		return address.ErrControl
	}
	return nil
}

// helo is the name we give to the server.
func (r *run) helo() string {
	name, err := address.Address{Domain: r.origin}.ASCIIDomain()
	if err != nil {
		return "localhost"
	}
	return name
}
