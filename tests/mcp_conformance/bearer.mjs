// Loaded before the conformance suite, which has no option for headers: each request of it bears
// the pool's token.
import channel from "node:diagnostics_channel";

const value = `Bearer ${process.env.AGENT_POOL_TOKEN}`;
channel.subscribe("undici:request:create", ({ request }) => request.addHeader("authorization", value));
channel.subscribe("http.client.request.created", ({ request }) => request.setHeader("authorization", value));
