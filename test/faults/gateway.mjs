// A router's side of UPnP, for a namespace with the nftables of a NAT: answers whoever looks for an Internet gateway
// (IGD 2), and forwards the ports that it is asked for. Arguments: its private and its public address.
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';

const [privateAddress, publicAddress] = process.argv.slice(2);
const DEVICE = 'urn:schemas-upnp-org:device:InternetGatewayDevice:2';
const SERVICE = 'urn:schemas-upnp-org:service:WANIPConnection:2';
const USN = 'uuid:6f1d2c1e-0000-4000-8000-000000000001';
const HTTP_PORT = 5000;

const nft = (command) => execFileSync('nft', [command]);
nft('add chain ip nat in { type nat hook prerouting priority dstnat; }');
nft('add rule ip filter forward ct status dnat accept');

const socket = createSocket({ type: 'udp4', reuseAddr: true });
socket.on('message', (message, { address, port }) => {
  if (!message.toString().startsWith('M-SEARCH')) return;
  const headers = [
    'HTTP/1.1 200 OK',
    'CACHE-CONTROL: max-age=1800',
    'EXT:',
    `LOCATION: http://${privateAddress}:${HTTP_PORT}/device.xml`,
    'SERVER: test/1 UPnP/1.1 test/1',
    `ST: ${DEVICE}`,
    `USN: ${USN}::${DEVICE}`,
  ];
  socket.send(`${headers.join('\r\n')}\r\n\r\n`, port, address);
});
socket.bind(1900, () => socket.addMembership('239.255.255.250', privateAddress));

const description = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
  <deviceType>${DEVICE}</deviceType><UDN>${USN}</UDN>
  <serviceList><service><serviceType>${SERVICE}</serviceType><serviceId>wan</serviceId>
    <controlURL>/control</controlURL><eventSubURL>/event</eventSubURL><SCPDURL>/scpd.xml</SCPDURL></service></serviceList>
</device></root>`;

const server = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  response.setHeader('content-type', 'text/xml');
  response.end(request.method === 'POST' ? answer(request.headers.soapaction ?? '', body) : description);
});
server.listen(HTTP_PORT, privateAddress, () => console.log('ready'));

function answer(action, body) {
  const field = (name) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1];
  if (action.includes('#GetExternalIPAddress')) {
    return envelope('GetExternalIPAddress', `<NewExternalIPAddress>${publicAddress}</NewExternalIPAddress>`);
  }
  if (action.includes('#AddAnyPortMapping')) {
    const port = Number(field('NewExternalPort'));
    const to = `${field('NewInternalClient')}:${Number(field('NewInternalPort'))}`;
    nft(`add rule ip nat in iifname eth0 tcp dport ${port} dnat to ${to}`);
    return envelope('AddAnyPortMapping', `<NewReservedPort>${port}</NewReservedPort>`);
  }
  return envelope('DeletePortMapping', '');
}

function envelope(action, fields) {
  return `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
    <u:${action}Response xmlns:u="${SERVICE}">${fields}</u:${action}Response></s:Body></s:Envelope>`;
}
