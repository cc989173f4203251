package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/panelmail/panelmail/mailcore"
	"github.com/panelmail/panelmail/mailcore/sendmail"
	"github.com/panelmail/panelmail/transport"
)

func serverCommands() []command {
	return []command{
		{name: "serve", short: "run the server", here: serve},
		{name: "sendmail", args: "[FLAGS] [RECIPIENT …]", short: "submit a message, as /usr/sbin/sendmail", here: func(ctx context.Context, a *app, args []string) error {
			return remoteExit(a.sendmail(ctx, args))
		}},
	}
}

// serve runs the server until it is told to stop.
func serve(ctx context.Context, a *app, args []string) (err error) {
	if len(args) > 0 {
		return usagef("serve takes no arguments: %q", args)
	}
	if _, err := a.library(); err != nil {
		return err
	}
	if err := a.ownData(); err != nil {
		return err
	}
	signals, stop := hangups()
	defer stop()
	log, out, err := a.openLog()
	if err != nil {
		return err
	}
	defer out.close()
	unlock, err := a.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := a.makeCertificate(); err != nil {
		return err
	}
	config, err := a.serverConfig(log)
	if err != nil {
		return err
	}
	srv, err := mailcore.Open(ctx, a.database(), config)
	if err != nil {
		return err
	}
	control, err := a.listenControl()
	if err != nil {
		return errors.Join(fmt.Errorf("control socket: %w", err), srv.Close())
	}
	defer control.Close()
	listeners, err := a.listen()
	if err != nil {
		return errors.Join(err, srv.Close())
	}
	a.announce(listeners)
	notify("READY=1")
	context.AfterFunc(ctx, func() { notify("STOPPING=1") })
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return srv.Run(ctx, listeners...) })
	group.Go(func() error { return a.serveControl(ctx, control, srv, log) })
	group.Go(func() error {
		(&reloader{app: a, server: srv, log: log, out: out, auth: config.Authenticator}).run(ctx, signals)
		return nil
	})
	return group.Wait()
}

// serverConfig is the configuration of a server: what the settings say, and the
// certificates they name.
func (a *app) serverConfig(log *slog.Logger) (mailcore.Config, error) {
	config, err := a.library()
	config.Log, config.Maildrop = log, a.maildrop()
	certificates, tlsErr := a.loadCertificates()
	if tlsErr == nil {
		config.TLS = certificates.TLS()
	}
	return config, errors.Join(err, tlsErr, a.makeMaildirRoot(config))
}

// makeMaildirRoot makes the directory for Maildirs if it is in the data directory.
// Elsewhere a missing one may be a disk that is missing.
func (a *app) makeMaildirRoot(config mailcore.Config) error {
	if filepath.IsAbs(a.settings.Delivery.MaildirRoot) || config.MaildirRoot == "" {
		return nil
	}
	return os.MkdirAll(config.MaildirRoot, 0o700)
}

// listen opens the doors of the configuration, or none of them.
func (a *app) listen() (all []mailcore.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range all {
				l.Close()
			}
		}
	}()
	proxies, err := parseNetworks(a.settings.Listen.ProxyNetworks)
	if err != nil {
		return nil, err
	}
	for _, door := range []struct {
		kind  mailcore.Kind
		at    addresses
		level string
	}{
		{mailcore.SMTP, a.settings.Listen.SMTP, a.settings.Listen.SMTPTLS},
		{mailcore.Submission, a.settings.Listen.Submission, ""},
		{mailcore.Submissions, a.settings.Listen.Submissions, ""},
	} {
		for _, address := range door.at {
			l, err := net.Listen("tcp", address)
			if err != nil {
				return all, fmt.Errorf("%v listener: %w", door.kind, err)
			}
			all = append(all, mailcore.Listener{
				Kind: door.kind, Listener: l, Proxy: proxies, TLSLevel: transport.TLSLevel(door.level),
			})
		}
	}
	if a.settings.Listen.Sendmail == "" {
		return all, nil
	}
	l, err := a.listenSendmail()
	if err != nil {
		return all, fmt.Errorf("sendmail listener: %w", err)
	}
	return append(all, mailcore.Listener{Kind: mailcore.Sendmail, Listener: l}), nil
}

// listenSendmail opens the socket that anybody may connect to, in a directory
// that anybody may pass through: who they are, the kernel says.
func (a *app) listenSendmail() (net.Listener, error) {
	path := a.sendmailSocket()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return listenUnix(path, 0o666)
}

func (a *app) sendmailSocket() string { return a.inData(a.settings.Listen.Sendmail) }

// maildrop is where sendmail leaves messages while no server runs.
func (a *app) maildrop() string {
	if a.settings.Listen.Maildrop == "" && a.settings.Listen.Sendmail != "" {
		return sendmail.Maildrop(a.sendmailSocket())
	}
	return a.inData(a.settings.Listen.Maildrop)
}

// inData makes a path relative to the data directory; "" stays "".
func (a *app) inData(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(a.data, path)
}

// announce says where the server listens and how to send a first message.
func (a *app) announce(listeners []mailcore.Listener) {
	fmt.Fprintf(a.stdout, "panelmail serves %s from %s\n", a.settings.Hostname, a.data)
	for _, l := range listeners {
		fmt.Fprintf(a.stdout, "  %-12v %v\n", l.Kind, l.Addr())
	}
	if a.settings.Listen.Sendmail != "" && filepath.Dir(a.sendmailSocket()) == filepath.Clean(a.data) {
		fmt.Fprintf(a.stdout, "The sendmail socket is inside the data directory: only uid %s can reach it.\n", strconv.Itoa(os.Geteuid()))
	}
	program := a.invocation()
	fmt.Fprintf(a.stdout, "Send a first message:\n  %[1]s site add demo\n  %[1]s domain add demo.example --site demo\n", program)
	if a.settings.Listen.Submission.here() == "" {
		fmt.Fprintf(a.stdout, "  printf 'Subject: hello\\n\\nhello\\n' | %s sendmail -f me@demo.example you@example.org\n", program)
		return
	}
	fmt.Fprintf(a.stdout, `  echo secret | %s login add me@demo.example --site demo
  swaks --server %s --tls --auth-user me@demo.example --auth-password secret \
    --from me@demo.example --to you@example.org
`, program, a.settings.Listen.Submission.here())
}

// invocation is how to run this program again on the same data.
func (a *app) invocation() string {
	program := "panelmail"
	if strings.Contains(os.Args[0], "go-build") {
		program = "go run ./examples/standalone"
	}
	if a.data != dataDirectory() {
		program += " --data " + a.data
	}
	return program
}
