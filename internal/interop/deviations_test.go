package interop_test

// deviations are all differences between the codes of Postfix 3.7 and ours in
// dialogues, each with its reason. The documentation of internal/smtpserver has
// them as a table.
var deviations = []struct {
	why   string
	steps []difference
}{
	{"5.4.6 is the code for a routing loop (RFC 3463 section 3.5)", []difference{
		{"49 hops", `Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000\r\nRec...`, "554 5.4.0", "554 5.4.6"},
	}},
	{"an address has one meaning or none: no routes, nothing around the brackets, no empty parts, one @", []difference{
		{"MAIL with the other half", "MAIL FROM:a@b.test>", "250 2.1.0", "501 5.1.7"},
		{"MAIL with junk before", "MAIL FROM:junk<a@b.test>", "250 2.1.0", "501 5.1.7"},
		{"MAIL with two at signs", "MAIL FROM:<a@b@c.test>", "250 2.1.0", "553 5.1.7"},
		{"MAIL with a source route", "MAIL FROM:<@x.test,@y.test:a@b.test>", "250 2.1.0", "501 5.1.7"},
		{"MAIL with an empty local-part", "MAIL FROM:<@b.test>", "250 2.1.0", "501 5.1.7"},
		{"MAIL with dots", "MAIL FROM:<a..b@c.test>", "250 2.1.0", "501 5.1.7"},
		{"null sender of blanks", "MAIL FROM:< >", "250 2.1.0", "501 5.1.7"},
		{"RCPT with half a bracket", "RCPT TO:u@ours.example>", "250 2.1.5", "501 5.1.3"},
		{"RCPT with junk", "RCPT TO:junk<u@ours.example>", "250 2.1.5", "501 5.1.3"},
		{"RCPT with a source route", "RCPT TO:<@ours.example:u@other.test>", "554 5.7.1", "501 5.1.3"},
		{"RCPT with a source route", "RCPT TO:<@other.test:u@ours.example>", "250 2.1.5", "501 5.1.3"},
		{"RCPT with two at signs", "RCPT TO:<u@other.test@ours.example>", "554 5.7.1", "553 5.1.3"},
	}},
	{"no domain is added to an address: the sender gets to know", []difference{
		{"MAIL with a local name", "MAIL FROM:<a>", "250 2.1.0", "504 5.5.2"},
		{"RCPT with a local name", "RCPT TO:<u>", "554 5.7.1", "504 5.5.2"},
	}},
	{"a local-part has 256 octets, a host name 255", []difference{
		{"MAIL with a longer local-part", "MAIL FROM:<lllllllllllllllllllllllllllllllllllllllllllllllll...", "250 2.1.0", "501 5.1.7"},
		{"RCPT with a longer local-part", "RCPT TO:<lllllllllllllllllllllllllllllllllllllllllllllllllll...", "250 2.1.5", "501 5.1.3"},
		{"EHLO with garbage", "EHLO xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...", "250", "501"},
	}},
	{"UTF-8 in an address is asked for with SMTPUTF8 (RFC 6531 section 3.5), or a host without it gets the message", []difference{
		{"MAIL in 8 bits", `MAIL FROM:<\u00fc@b.test>`, "250 2.1.0", "553 5.6.7"},
		{"RCPT in 8 bits", `RCPT TO:<\u00fc@ours.example>`, "250 2.1.5", "553 5.6.7"},
	}},
	{"what cannot be read is refused instead of cut short or ignored", []difference{
		{"MAIL with a control character", `MAIL FROM:<a\x01@b.test>`, "250 2.1.0", "500 5.5.2"},
		{"a long line", "NOOP xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...", "250 2.0.0", "500 5.5.2"},
		{"a long line", "MAIL FROM:<a@b.test> ENVID=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...", "250 2.1.0", "500 5.5.2"},
		{"SIZE twice", "MAIL FROM:<a@b.test> SIZE=1 SIZE=2", "250 2.1.0", "501 5.5.4"},
		{"ORCPT", "RCPT TO:<u@ours.example> ORCPT=rfc822;", "250 2.1.5", "501 5.5.4"},
		{"AUTH= over TLS", "MAIL FROM:<a@b.test> AUTH=+zz", "250 2.1.0", "501 5.5.4"},
	}},
	{"a bare line feed smuggles in content, where it is refused; between commands it is a person typing", []difference{
		{"bare line feeds between commands", `EHLO c.test\nNOOP\nMAIL FROM:<a@b.test>`, "550 5.5.2, closed", "250, 250 2.0.0, 250 2.1.0"},
		{"bare line feeds between commands", `NOOP\nQUIT`, "gone", "250 2.0.0, 221 2.0.0"},
	}},
	{"who does not speak SMTP hears a code of refusal and is disconnected", []difference{
		{"web browser", "GET / HTTP/1.1", "221 2.7.0", "500 5.5.2"},
		{"header as command", "Subject: hello", "221 2.7.0", "500 5.5.2"},
		{"two words in one", "MAILFROM:<a@b.test>", "221 2.7.0", "500 5.5.2"},
		{"TLS in clear", `\x16\x03\x01`, "221 2.7.0", "500 5.5.2"},
		{"octets", "NOOP", "250 2.0.0", "closed"},
		{"a reply as command", "220 mx.test ESMTP", "221 2.7.0", "500 5.5.2"},
	}},
	{"HELP is served, EXPN is known and off (RFC 5321 sections 4.1.1.8 and 4.2.4), ETRN is not offered", []difference{
		{"no HELO, little commands", "HELP", "500 5.5.2", "214 2.0.0"},
		{"HELP", "HELP", "500 5.5.2", "214 2.0.0"},
		{"HELP", "HELP MAIL", "500 5.5.2", "214 2.0.0"},
		{"EXPN", "EXPN list", "500 5.5.2", "502 5.5.1"},
		{"ETRN", "ETRN ours.example", "250", "500 5.5.2"},
		{"ETRN", "ETRN other.test", "459", "500 5.5.2"},
		{"ETRN", "ETRN", "500", "500 5.5.2"},
	}},
	{"a client that forgot TLS is told so (RFC 4954 section 6)", []difference{
		{"AUTH in clear", "AUTH PLAIN AHBhbmVsAHJpZ2h0", "503 5.5.1", "538 5.7.11"},
		{"AUTH in clear", "AUTH", "503 5.5.1", "538 5.7.11"},
		{"AUTH in clear", "AUTH FOO", "503 5.5.1", "538 5.7.11"},
	}},
	{"what is no mechanism and what is no base64 was not a wrong password (RFC 4954 section 4)", []difference{
		{"AUTH without mechanism", "AUTH FOO", "535 5.7.8", "504 5.5.4"},
		{"AUTH without mechanism", "AUTH FOO BAR", "535 5.7.8", "504 5.5.4"},
		{"AUTH without mechanism", "AUTH EXTERNAL =", "535 5.7.8", "504 5.5.4"},
		{"AUTH with bad base64", "AUTH PLAIN %%%", "535 5.7.8", "501 5.5.2"},
		{"AUTH with bad base64", "%%%", "535 5.7.8", "501 5.5.2"},
		{"AUTH with bad base64", "AUTH PLAIN AGEAYg", "535 5.7.8", "501 5.5.2"},
		{"AUTH with bad base64", "%%%", "535 5.7.8", "501 5.5.2"},
	}},
	{"BDAT with bad arguments is a syntax error; the connection is closed as well", []difference{
		{"BDAT with bad arguments", `BDAT x\r\n`, "521 5.5.4", "501 5.5.4"},
		{"BDAT with no arguments", `BDAT \r\n`, "521 5.5.4", "501 5.5.4"},
		{"BDAT of less than nothing", `BDAT -1 LAST\r\n`, "521 5.5.4", "501 5.5.4"},
		{"BDAT with another word", `BDAT 0 FIRST\r\n`, "521 5.5.4", "501 5.5.4"},
	}},
	{"every chunk of a message without recipients is refused for that reason; 551 is for a user who moved", []difference{
		{"BDAT after all were refused", `BDAT 3 LAST\r\nx\r\n`, "551 5.0.0", "554 5.5.1"},
	}},
}
