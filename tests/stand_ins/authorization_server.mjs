// An OAuth authorization server that others wrote and had certified: the npm package `oidc-provider`, as whoever runs an
// API would set it up for a broker, with a token exchange (RFC 8693) added by its own extension point.
//
// node authorization_server.mjs LIBRARY prints its issuer. Told on standard input, one JSON object a line, it answers
// with one: {"refresh": true} a refresh token that somebody consented to, {"ttl": SECONDS} for the tokens to come,
// {"stop": true} and {"start": true} close and open its port, {"rotate": BOOLEAN} for refresh tokens.
import * as crypto from 'node:crypto';
import * as http from 'node:http';
import * as readline from 'node:readline';

const [, , library, publicKey] = process.argv;
console.info = console.warn = console.error;
const { default: Provider, errors } = await import(library);

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const SCOPES = 'read:case write:case';
const OPAQUE = 'https://crm.example/api';
const JWT = 'https://offline.example/api';
let ttl = 600;
let rotate = true;
let provider;

const resource = (audience) => ({
  scope: SCOPES, audience, accessTokenFormat: audience === JWT ? 'jwt' : 'opaque',
  ...(audience === JWT ? { jwt: { sign: { alg: 'ES256' } } } : {}),
});
const known = (audience) => {
  if (audience !== OPAQUE && audience !== JWT) throw new errors.InvalidTarget();
  return resource(audience);
};
const client = (client_id, more) => ({
  client_id, client_secret: 'a client secret that is a canary', redirect_uris: [], response_types: [], scope: SCOPES,
  authorization_details_types: ['case'], ...more,
});

function open(issuer) {
  const key = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  provider = new Provider(issuer, {
    jwks: { keys: [{ ...key, use: 'sig', alg: 'ES256', kid: 'k' }] },
    scopes: ['offline_access', ...SCOPES.split(' ')],
    clients: [
      client('broker', { grant_types: ['client_credentials', 'refresh_token', 'authorization_code', EXCHANGE],
        redirect_uris: ['https://broker.example/done'], response_types: ['code'] }),
      client('poster', { grant_types: ['client_credentials'], token_endpoint_auth_method: 'client_secret_post' }),
      client('signer', { grant_types: ['client_credentials'], client_secret: undefined,
        token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [JSON.parse(publicKey)] } }),
      client('resource', { grant_types: [] }),
    ],
    enabledJWA: { idTokenSigningAlgValues: ['ES256'], clientAuthSigningAlgValues: ['ES256'] },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    rotateRefreshToken: () => rotate,
    ttl: { ClientCredentials: () => ttl, AccessToken: () => ttl, RefreshToken: () => 86400, Grant: () => 86400 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      richAuthorizationRequests: {
        enabled: true,
        types: { case: { validate: (_, detail) => { if (detail.identifier === undefined) throw new errors.InvalidAuthorizationDetails(); } } },
        authorizationDetailsForAccessToken: (ctx) => JSON.parse(ctx.oidc.params.authorization_details),
        authorizationDetailsForIntrospection: (_, token) => token.rar,
        authorizationDetailsForGrantSource: (_, source) => source.rar,
      },
      resourceIndicators: {
        enabled: true, defaultResource: () => OPAQUE, useGrantedResource: () => true,
        getResourceServerInfo: (_, audience) => known(audience),
      },
    },
  });
  provider.registerGrantType(EXCHANGE, async (...given) => {
    const ctx = given.find((one) => one.oidc);
    const { params, client: asking } = ctx.oidc;
    const subject = await provider.ClientCredentials.find(params.subject_token);
    if (!subject?.isValid) throw new errors.InvalidGrant('the subject token is not active');
    const wanted = (params.scope ?? '').split(' ').filter(Boolean);
    const held = subject.scope.split(' ');
    if (wanted.some((one) => !held.includes(one))) throw new errors.InvalidScope('wider than its subject', params.scope);
    const token = new provider.ClientCredentials({ client: asking, scope: wanted.join(' ') });
    const audience = [params.resource ?? OPAQUE].flat()[0];
    token.resourceServer = new provider.ResourceServer(audience, known(audience));
    ctx.body = {
      access_token: await token.save(), issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      token_type: 'Bearer', expires_in: token.expiration, scope: token.scope,
    };
  }, ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type', 'scope',
    'resource', 'audience']);
}

async function consented() {
  const grant = new provider.Grant({ accountId: 'ada', clientId: 'broker' });
  grant.addResourceScope(OPAQUE, SCOPES);
  const token = new provider.RefreshToken({
    accountId: 'ada', client: await provider.Client.find('broker'), grantId: await grant.save(),
    gty: 'authorization_code', scope: SCOPES, resource: OPAQUE,
  });
  return token.save();
}

const server = http.createServer((request, response) => provider.callback()(request, response));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const issuer = `http://127.0.0.1:${port}`;
  open(issuer);
  console.log(issuer);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const told = JSON.parse(line);
    const answer = {};
    if ('ttl' in told) ttl = told.ttl;
    if ('rotate' in told) rotate = told.rotate;
    if (told.refresh) answer.refresh = await consented();
    if (told.stop) await new Promise((done) => { server.close(done); server.closeAllConnections(); });
    if (told.start) await new Promise((done) => { server.listen(port, '127.0.0.1', done); });
    console.log(JSON.stringify(answer));
  });
  lines.on('close', () => process.exit(0));
});
