// Runs a declarative pipeline: groovy jenkins.groovy JENKINSFILE NAME=VALUE... The values are those of parameters, of variables that Jenkins
// sets, and as credentials.ID of credentials. Steps run here, one after the other; stdout ends with a line of JSON of what the job has then.
import groovy.json.JsonOutput

class Job {
	Map<String, String> given
	Map<String, Object> env = [:]
	Map<String, Object> currentBuild = [:]
	Map<String, String> agent = [:]

	void within(Closure block) {
		block.delegate = this
		block.resolveStrategy = Closure.DELEGATE_FIRST
		block()
	}

	void pipeline(Closure block) { within(block) }
	void agent(Closure block) { within(block) }
	void kubernetes(Closure block) { within(block) }
	void parameters(Closure block) { within(block) }
	void environment(Closure block) { within(block) }
	void stages(Closure block) { within(block) }
	void stage(String name, Closure block) { within(block) }
	void steps(Closure block) { within(block) }
	void script(Closure block) { within(block) }

	void yamlFile(String path) { agent.yamlFile = path }
	void defaultContainer(String name) { agent.container = name }
	void string(Map parameter) { env[parameter.name] = given.getOrDefault(parameter.name, parameter.defaultValue) }
	String credentials(String id) { given["credentials.$id".toString()] ?: { throw new IllegalArgumentException("no credentials $id") }() }
	/** A variable of the block `environment`. */
	void propertyMissing(String name, Object value) { env[name] = value }

	void sh(String text) {
		def step = new ProcessBuilder('sh', '-xe', '-c', text).inheritIO()
		env.each { name, value -> step.environment()[name] = value.toString() }
		def status = step.start().waitFor()
		if (status != 0) throw new IllegalStateException("script returned exit code $status")
	}

	Properties readProperties(Map file) {
		def values = new Properties()
		new File(file.file as String).withReader('UTF-8') { values.load(it) }
		values
	}
}

def given = args.drop(1).collectEntries { it.split('=', 2).toList() }
def job = new Job(given: given, env: given.findAll { !it.key.startsWith('credentials.') })
def pipeline = new GroovyShell(new Binding([pipeline: job.&pipeline])).parse(new File(args[0]))
pipeline.run()
println JsonOutput.toJson([env: job.env, description: job.currentBuild.description, agent: job.agent])
