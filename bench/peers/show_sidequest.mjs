// Sidequest: `prepare <url>` makes its tables, `count <url>` prints its own count of jobs, `serve
// <url> <port>` runs its dashboard.
import { createBackendFromDriver } from "@sidequest/backend";
import { SidequestDashboard } from "@sidequest/dashboard";

const [verb, url, port] = process.argv.slice(2);
// Not as a text: it would miss the folder of the socket.
const config = { connection: { connectionString: url } };
const backendConfig = { driver: "@sidequest/postgres-backend", config };
if (verb === "serve") {
  await new SidequestDashboard().start({ backendConfig, port: +port });
} else {
  const backend = await createBackendFromDriver(backendConfig);
  if (verb === "prepare") await backend.migrate();
  else console.log(JSON.stringify(await backend.countJobs()));
  await backend.close();
}
