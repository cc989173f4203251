// Package panelmail is the front page of a module that a hosting control panel
// imports to send mail: SMTP submission, a sendmail command for PHP and cron, and
// Go calls feed a durable queue in SQLite; each recipient is routed through
// transport maps; delivery is shaped per destination and leaves from the
// sender's own address under its own name; what fails comes back as a report
// that names the real reason.
//
// # A whole server
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
//	defer stop()
//	srv, err := mailcore.Open(ctx, "panelmail-data/panelmail.db", mailcore.Config{Hostname: "mail.panel.example"})
//	if err != nil {
//		log.Fatal(err)
//	}
//	id, err := srv.Submit(ctx, mailcore.Message{
//		ReversePath: "panel@panel.example",
//		Recipients:  []string{"customer@shop.example"},
//		Content:     strings.NewReader("Subject: Welcome\n\nYour site is ready.\n"),
//	})
//	if err != nil {
//		log.Fatal(err)
//	}
//	log.Printf("queued as %s: on disk, and tried until it is delivered or bounces", id)
//	l, err := net.Listen("tcp", "127.0.0.1:2587")
//	if err != nil {
//		log.Fatal(err)
//	}
//	log.Fatal(srv.Run(ctx, mailcore.Listener{Kind: mailcore.Submission, Listener: l}))
//
// It is examples/quickstart, which runs.
//
// # The map
//
//	floor 4   examples/…            public packages only
//	          mailcore/dnscheck     what is published, against what mail needs
//	          mailcore/mailtest     the internet of one test
//	          mailcore/sendmail     the sendmail command
//	floor 3   mailcore              the desk: the package a panel imports
//	floor 2   queue                 the vault: durable queue and scheduler
//	          mailcore/sites        what a panel configures per hosted site
//	floor 1   transport             the dock: vocabulary, planner, delivery
//	floor 0   srs                   senders of forwarded mail, there and back
//	          dnstmpl               DNS records of a mail domain, from templates and data
//	cellar    internal/…            address, rfc5322, dsn, smtpserver, smtpclient, …
//
// Imports only go down; nothing of internal/ shows in a public signature. A test
// (internal/archtest) keeps it so.
//
// # One message's way
//
// The desk decides everything that can be decided while the submitter is on the
// line: who it is, whether it may send as this sender to these recipients, which
// fields are missing. Then the message is stored, and only then does the
// submitter hear 250: it is on disk, under WAL and synchronous=FULL.
//
// The vault files each recipient in a lane (where from, where to), claims those
// that are due, and writes the attempt and the next due time down before anybody
// dials, so that a crash cannot turn into a hammer. In a lane sites take turns, and
// what somebody waits for goes before what nobody does. The file is the schedule;
// memory holds a window of it. Where nothing else is due, the commit that accepts a
// message is the one that claims it.
//
// The dock plans the recipient afresh (transport, next hop, source, TLS,
// credential, limits: a pure function of the tables), makes one attempt, and
// reports an outcome for each recipient. The vault settles it in one commit:
// delivered, deferred, held, or failed together with the bounce that tells the
// sender.
//
// Four rules hold throughout. A 250 means on disk. A stored message never
// changes. A source never leaks: mail of a sender with its own address waits
// rather than leave from another. Unknown trouble defers: a message never fails
// for our own sins.
//
// # RFC coverage
//
//	RFC 1035  zone files               the records that mail needs; no directives
//	RFC 1870  SIZE                     yes
//	RFC 1894/3464 delivery reports     yes: failed, delayed and relayed
//	RFC 2033  LMTP                     client
//	RFC 2034, 3463 enhanced codes      yes
//	RFC 2920  PIPELINING               yes, both ways
//	RFC 3030  CHUNKING                 server: yes; client: no; BINARYMIME: no
//	RFC 3207  STARTTLS                 yes
//	RFC 3461  DSN parameters           yes
//	RFC 4954  AUTH                     PLAIN and LOGIN; to other hosts CRAM-MD5 and XOAUTH2 too
//	RFC 5321  SMTP                     yes; no VRFY, EXPN or source routes
//	RFC 5322  message format           the header block, as far as a server touches it
//	RFC 6152  8BITMIME                 yes; 8-bit mail is never re-encoded on the way out
//	RFC 6409  submission               yes
//	RFC 6531  SMTPUTF8                 yes; no downgrading
//	RFC 6376  DKIM                     submitters' mail and reports are signed, relaxed, without l=; dkim.Verify verifies
//	RFC 7208  SPF                      forwarded mail passes (SRS); that of others is not evaluated
//	RFC 7505  null MX                  yes
//	RFC 7672  DANE                     yes, with a resolver that validates
//	RFC 8314  implicit TLS             yes
//	RFC 8301  DKIM algorithms          RSA of 2,048 to 4,096 bits, SHA-256
//	RFC 8460  TLS reports              failures are counted; no reports are sent
//	RFC 8461  MTA-STS                  yes
//	RFC 8463  DKIM with Ed25519        yes, as a second signature
//	RFC 8601  results                  DKIM, by dkim.AuthenticationResults
//	RFC 8689  REQUIRETLS               yes
//	RFC 9422  LIMITS                   those of other hosts are kept
package panelmail
