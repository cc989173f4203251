<?php
// Sends a message by PHPMailer for each file, and writes into the file what it has
// sent. Arguments: login, password, and for each message its kind of TLS, port,
// mechanism and file.
require '/usr/share/php/libphp-phpmailer/autoload.php';

[, $login, $password] = $argv;
foreach (array_chunk(array_slice($argv, 3), 4) as [$tls, $port, $mechanism, $file]) {
    $mail = new PHPMailer\PHPMailer\PHPMailer(true);
    $mail->isSMTP();
    $mail->Host = '127.0.0.1';
    $mail->Port = (int) $port;
    $mail->SMTPSecure = $tls == 'implicit' ? 'ssl' : 'tls';
    $mail->SMTPAuth = true;
    $mail->AuthType = $mechanism == 'any' ? '' : $mechanism;
    $mail->Username = $login;
    $mail->Password = $password;
    $mail->CharSet = 'UTF-8';
    $mail->Encoding = '8bit';
    $mail->setFrom('me@shop.example', 'Jürgen');
    $mail->addAddress('you@example.org');
    $mail->addCustomHeader('X-Test', basename($file));
    $mail->Subject = 'Grüße';
    $mail->Body = "Grüße\n.dot\n..dots\n" . str_repeat('x', 900) . "\n";
    $mail->addStringAttachment(random_bytes(20000), 'random.bin');
    $mail->send();
    file_put_contents($file, $mail->getSentMIMEMessage());
}
