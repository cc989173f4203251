<?php
// Sends a message by Symfony Mailer for each file, and writes into the file what it
// has sent. Arguments: login, password, and for each message its kind of TLS, port,
// mechanism (which is not for the caller to choose) and file.
require '/usr/share/php/Symfony/Component/Mailer/autoload.php';

use Symfony\Component\Mailer\Transport;
use Symfony\Component\Mime\Email;

[, $login, $password] = $argv;
foreach (array_chunk(array_slice($argv, 3), 4) as [$tls, $port, , $file]) {
    $scheme = $tls == 'implicit' ? 'smtps' : 'smtp';
    $transport = Transport::fromDsn(sprintf('%s://%s:%s@127.0.0.1:%d', $scheme, rawurlencode($login), rawurlencode($password), $port));
    $email = (new Email())
        ->from('Jürgen <me@shop.example>')
        ->to('you@example.org')
        ->subject('Grüße')
        ->text("Grüße\n.dot\n..dots\n" . str_repeat('x', 900) . "\n")
        ->attach(random_bytes(20000), 'random.bin');
    $email->getHeaders()->addTextHeader('X-Test', basename($file));
    $sent = $transport->send($email);
    file_put_contents($file, $sent->toString());
}
