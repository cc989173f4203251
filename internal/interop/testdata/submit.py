# Sends the content of each file by smtplib. Arguments: CA file, login, password,
# and for each message its kind of TLS, port, mechanism and file.
import smtplib
import ssl
import sys

ca, login, password = sys.argv[1:4]
jobs = sys.argv[4:]
while jobs:
    tls, port, mechanism, name = jobs[:4]
    jobs = jobs[4:]
    context = ssl.create_default_context(cafile=ca)
    if tls == "implicit":
        s = smtplib.SMTP_SSL("127.0.0.1", int(port), context=context)
    else:
        s = smtplib.SMTP("127.0.0.1", int(port))
        s.starttls(context=context)
    s.ehlo()
    if mechanism == "any":
        s.login(login, password)
    else:
        s.user, s.password = login, password
        s.auth(mechanism, getattr(s, "auth_" + mechanism.lower()))
    with open(name, "rb") as f:
        content = f.read().replace(b"\n", b"\r\n")
    s.sendmail("me@shop.example", ["you@example.org"], content, mail_options=["BODY=8BITMIME"])
    s.quit()
