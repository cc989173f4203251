// Package mailcore is the desk: what a hosting panel imports to send mail.
//
// [Open] makes a [Server] on one SQLite file, [Server.Run] takes mail from
// listeners and delivers what is queued until its context is done, and
// [Server.Submit] hands in a message of the panel's own. [Server.Sites] are the
// settings: sites, domains, logins, routes, sources, smart hosts.
//
// # Ways in
//
// Every way in goes through the same steps: who is it, may it send as this
// sender to these recipients, which fields are missing, store. What is stored
// does not change any more.
//
//	Listener kind  who it is                     what it may
//	SMTP           nobody, or a RelayNetwork     recipients of ours, or any
//	Submission(s)  a login, over TLS             any recipient, senders it owns
//	Sendmail       the kernel says which uid     any recipient, senders of the uid's site
//	Submit         the panel says which site     any recipient, senders of that site
//	Backend        as SMTP and Submission, behind the panel's own go-smtp server
//
// A login named like an address owns that address; any other login may send as
// every address in the domains of its site. Site "" is the panel itself and may
// send as anybody. The address USER@Hostname is always the uid's own.
//
// Recipients of ours are those in domains of a site and at Hostname. Mail for
// a hosted domain is taken for those who have a mailbox ([sites.Mailbox]), an
// alias or a route: others are unknown. Mail for postmaster, root, abuse and mailer-daemon at Hostname goes to
// Config.Postmaster, or is held for a person to read.
//
// What sendmail left in the maildrop while no server ran is judged like what comes
// over its socket. Its submitter has gone, so a message that may not be sent is
// moved aside there as refused-…, with a line in the log, for a person to decide;
// recipients that do not exist bounce.
//
// # Mail that is sent on
//
// An alias with a target on another host, and [Server.Forward], send mail on. Where its
// sender is on another host as well, the copy leaves under a reverse-path in the domain
// of the alias, by which a bounce finds the sender again: see [Forwarding]. Such
// addresses of ours are read at RCPT. One that we did not make, or that is more than 21
// days old, is an unknown user, whatever catch-all there is; others take messages with
// the null reverse-path. That they lead to another host is no relaying: relay control
// judges the address as it is given.
//
// # What is guaranteed
//
// When Submit returns, or a client hears 250, the message is on disk. It is
// then delivered, or its sender is told, or a person decides: see packages queue
// and transport. When Run returns, no goroutine of the server is left.
//
// # A configuration that changes
//
// Reload puts another Config in the place of the one the server was opened with,
// as a whole, while it runs. What has begun goes on under the old one: connections
// keep it to their end, so that a network that may no longer relay may do so until
// it hangs up. One with a problem is refused, and nothing changes. What panels keep
// in Sites holds at once, and needs no Reload.
//
// # What is changed
//
// Mail of our own submitters gets the fields Date, Message-ID and From if they
// are missing, and CRLF line ends; Bcc is taken out. Mail of strangers is
// refused if it has bare carriage returns, line feeds or NUL. All mail gets a
// Received field and loses Return-Path. The author of a From that was missing is
// the reverse-path as it was given.
//
// # What is signed
//
// Mail of our own submitters is signed with DKIM while it is read, before it is stored,
// if the domain of its author (From, whatever the envelope says) has keys that sign:
// see [sites.Sites.GenerateDKIM]. A site has its mail signed with the keys of its own
// domains alone, and a RelayNetwork has none signed but what it sends as the site. What
// could be read in two ways, with two From fields or malformed ones, is refused then.
// Mail of strangers is not signed, nor is what is forwarded. Reports of failure are
// signed with the keys of Hostname's domain. Mail for next hops alone that sign by
// themselves ([sites.Sites.AddDKIMSigner]) is left to them.
//
// [Server.Run] looks after the keys: it asks the authoritative servers for their
// records, and replaces those whose time has come.
package mailcore
