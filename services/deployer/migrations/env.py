from shared.database.alembic_env import run

run("deployer")
